#!/bin/bash
# A run on one node, back in the queue until it has ended. Copy, edit the three lines, `sbatch one-node.sh`.
#SBATCH --nodes=1 --ntasks=1 --exclusive --mem=0
#SBATCH --signal=B:USR1@300 --requeue --open-mode=append --output=%x-%j.log
#SBATCH --job-name=yoke --time=24:00:00
#SBATCH --cpus-per-task=32
recipe=mine.yaml run_dir=runs/mine
# The three lines: name and time limit of the queue; cores of a node; the recipe. 300: seconds before the limit at which
# the run is asked to stop; what it does then, a step and a checkpoint, must fit into them.
# Where yoke is not in PATH: module load yoke, or PATH=$HOME/yoke/bin:$PATH
set -eu
yoke doctor --quiet --run-dir "$run_dir" || true
exec yoke-job "$run_dir" yoke run "$recipe" --run-dir "$run_dir"
