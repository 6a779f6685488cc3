#!/bin/sh
# `yoke doctor` in environments that hurt a run: the check, its verdict, and the exit code.
. "${top_srcdir:=.}/tests/run/common.sh"
yoke=$(cd "$top_builddir" && pwd)/yoke
doctor() { # variables, before a launcher or limits that are the test's own
    env -i PATH="$PATH" "$@" --run-dir "$dir/runs/new" >"$dir/log" 2>"$dir/errors"
    code=$?
}
judged() { # name, check, wanted verdict, what the line says
    line=$(sed -n "s/^\([a-z]*\)  *$2  */\1 /p" "$dir/log")
    verdict "$1" "$3" "${line%% *}"
    says "$1: says so" "$2 .*$4"
}

doctor "$yoke" doctor
checks=$(grep -c '^[a-z]' "$dir/log")
verdict "every check has one line" "$checks" "$(grep -cE '^(ok|warn|bad) ' "$dir/log")"
judged "numbers are rounded as the contract asks" rounding ok "to nearest"
says "a folder that can be used" "run directory  *$dir is "
verdict "nothing is left in it" 0 "$(find "$dir" -name '.yoke-doctor*' | wc -l | tr -d ' ')"
doctor "$yoke" doctor --json
verdict "--json has the same checks" "$checks" "$(grep -c '"verdict": "\(ok\|warn\|bad\)"' "$dir/log")"

doctor YOKE_ISA=portable "$yoke" doctor
judged "a slow set is forced" instructions "$([ "$(sets)" = portable ] && echo ok || echo warn)" portable
doctor YOKE_ISA=none "$yoke" doctor
judged "no such set" instructions bad "unset YOKE_ISA"
verdict "what is bad sets the exit code" 1 $code

job="SLURM_JOB_ID=7 SLURM_NTASKS=4 SLURM_CPUS_PER_TASK=4096"
doctor $job "$yoke" doctor
judged "before srun" slurm warn "export SRUN_CPUS_PER_TASK"
judged "four tasks, one process" mpi warn "srun --mpi=pmix"
doctor $job SRUN_CPUS_PER_TASK=4096 "$yoke" doctor
judged "before srun, which is told" slurm ok "job 7"
doctor $job SLURM_STEP_ID=0 "$yoke" doctor
judged "in a step without its processors" slurm bad "did not reach srun"
judged "in a step without MPI" mpi bad "do not know of each other"
doctor SLURM_JOB_ID=7 SLURM_NTASKS=4 SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=4 PMIX_RANK=0 "$yoke" doctor
grep -q '^[a-z]* *mpi *built without' "$dir/log" && known=bad || known=ok
judged "in a step with MPI" mpi $known "one of 4"

if [ "$(taskset -pc $$ 2>/dev/null | sed 's/.*: 0,1$/two/; s/.*: 0-.*/two/')" = two ]; then
    doctor taskset -c 0 "$yoke" doctor
    judged "taskset" processors warn "affinity mask"
    doctor OMPI_COMM_WORLD_SIZE=1 OMPI_COMM_WORLD_LOCAL_SIZE=1 taskset -c 0 "$yoke" doctor
    judged "mpirun's binding of few ranks" processors bad "ppr:1:node:PE="
    doctor OMPI_COMM_WORLD_SIZE=1024 OMPI_COMM_WORLD_LOCAL_SIZE=1024 "$yoke" doctor
    judged "more ranks than cores" processors warn "at most"
    doctor OMP_PROC_BIND=true "$yoke" doctor
    judged "threads are bound by OpenMP" processors bad "unset OMP_PROC_BIND"
else
    echo "skipped: processors 0 and 1 are not both to be had"
fi
doctor sh -c 'ulimit -f 1000; exec "$@"' sh "$yoke" doctor
judged "a limit of file sizes" space warn "ulimit -f"
doctor "$yoke" doctor --quiet
verdict "--quiet shows nothing that is ok" 0 "$(grep -c '^ok' "$dir/log")"
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 20 ]
