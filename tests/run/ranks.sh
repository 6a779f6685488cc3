# What the scripts that start ranks share, beside common.sh; to be sourced. $recipe is theirs. Skipped without MPI.
skip() {
    echo "skipped: $1"
    exit 77
}
command -v mpirun >/dev/null || skip "there is no mpirun: apt-get install openmpi-bin"
grep -q '^HAVE_MPI_TRUE = *#' "$top_builddir/Makefile" && skip "yoke was built without MPI"
OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_btl=self,vader
export OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM OMPI_MCA_rmaps_base_oversubscribe \
    OMPI_MCA_hwloc_base_binding_policy OMPI_MCA_mpi_yield_when_idle OMPI_MCA_btl
ranks() { # how many, then the options of a run that goes on in $dir/run
    n=$1
    shift
    mpirun --quiet -np "$n" "$yoke" run "$recipe" --set lanes=8 --set threads=1 --run-dir "$dir/run" "$@" \
        >"$dir/out" 2>"$dir/log"
}
ids() { # process ids of the ranks that work in $dir/run
    for p in /proc/[0-9]*; do
        tr '\0' ' ' <"$p/cmdline" | grep -q "^$yoke run .*--run-dir $dir/run" && echo "${p#/proc/}"
    done 2>/dev/null
}
