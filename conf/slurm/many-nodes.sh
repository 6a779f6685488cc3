#!/bin/bash
# A run on many nodes, back in the queue until it has ended. Copy, edit the three lines, `sbatch many-nodes.sh`.
#SBATCH --exclusive --mem=0 --distribution=block:block
#SBATCH --signal=B:USR1@300 --requeue --open-mode=append --output=%x-%j.log
#SBATCH --job-name=yoke --time=24:00:00
#SBATCH --nodes=4 --ntasks-per-node=2 --cpus-per-task=16
recipe=mine.yaml run_dir=runs/mine
# The three lines: name and time limit of the queue; nodes, NUMA domains of a node (`yoke doctor` counts them), cores
# of a domain; the recipe, whose `lanes` are a power of two that nodes x domains divides. The run directory is on a
# filesystem that all nodes share. `srun --mpi=list` shows what srun speaks; where it is not pmix: YOKE_SRUN_MPI=pmi2
# sbatch ...
# Where yoke is not in PATH: module load yoke, or PATH=$HOME/yoke/bin:$PATH
set -eu
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK # srun looks at nothing else since Slurm 22.05
ranks="srun --mpi=${YOKE_SRUN_MPI:-pmix} --cpu-bind=cores --kill-on-bad-exit=1" # one rank that ends ends all
$ranks --label yoke doctor --quiet --run-dir "$run_dir" || true
# shellcheck disable=SC2086 # several words
exec yoke-job "$run_dir" $ranks yoke run "$recipe" --run-dir "$run_dir"
