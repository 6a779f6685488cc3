#!/bin/bash
# Runs that differ in one key, each a task of an array. Copy, edit the four lines, `sbatch array.sh`. (A search in one
# run directory is the stage `tune`: one-node.sh with a recipe like conf/tune.yaml.)
#SBATCH --nodes=1 --ntasks=1
#SBATCH --signal=B:USR1@300 --requeue --open-mode=append --output=%x-%A_%a.log
#SBATCH --job-name=yoke --time=24:00:00
#SBATCH --cpus-per-task=8 --mem=16G --array=0-3
recipe=mine.yaml run_dir=runs/mine
key=seed values=(1 2 3 4)
# The four lines: name and time limit of the queue; cores and memory of a run, and as many tasks as values; the
# recipe; key and values, such as key=pretrain.lr values=(1e-3 2e-3 4e-3 8e-3). Each run has a directory of its own,
# runs/mine/seed=1 and so on, and does all stages. Afterwards: grep '"end"' runs/mine/*/summary.json
# Where yoke is not in PATH: module load yoke, or PATH=$HOME/yoke/bin:$PATH
set -eu
set=$key=${values[$SLURM_ARRAY_TASK_ID]}
exec yoke-job "$run_dir/$set" yoke run "$recipe" --set "$set" --run-dir "$run_dir/$set"
