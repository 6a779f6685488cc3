#!/bin/bash
# A run on many nodes, which goes back into the queue until it has ended. Copy, edit the three lines, `sbatch many-nodes.sh`.
#SBATCH --exclusive --mem=0 --distribution=block:block
#SBATCH --signal=B:USR1@300 --requeue --open-mode=append --output=%x-%j.log
#SBATCH --job-name=yoke --time=24:00:00
#SBATCH --nodes=4 --ntasks-per-node=2 --cpus-per-task=16
recipe=mine.yaml run_dir=runs/mine
# The three lines: name and time limit of the queue; nodes, NUMA domains of a node (`yoke doctor` counts them), cores of a
# domain; the recipe, whose `lanes` are a power of two and at least nodes x domains. The run directory is on a filesystem
# that all nodes share. What srun speaks with MPI: `srun --mpi=list` shows whether there is pmix; if not, try pmi2.
# Where yoke is not in PATH: module load yoke, or PATH=$HOME/yoke/bin:$PATH
set -eu
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK # srun looks at nothing else since Slurm 22.05
mpi=${YOKE_SRUN_MPI:-pmix}
srun --mpi="$mpi" --ntasks-per-node=1 --ntasks="$SLURM_NNODES" --label yoke doctor --run-dir "$run_dir" || true
exec yoke-job "$run_dir" srun --mpi="$mpi" --cpu-bind=cores yoke run "$recipe" --run-dir "$run_dir"
