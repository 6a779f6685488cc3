# What the scripts that start ranks share, beside common.sh; to be sourced. $recipe is theirs, and $common, the options
# of all their runs, may be.
common="--set lanes=8 --set threads=1"
OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_btl=self,vader
export OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM OMPI_MCA_rmaps_base_oversubscribe \
    OMPI_MCA_hwloc_base_binding_policy OMPI_MCA_mpi_yield_when_idle OMPI_MCA_btl
missing= # why there can be no ranks
command -v mpirun >/dev/null || missing="there is no mpirun: apt-get install openmpi-bin"
! grep -q '^HAVE_MPI_TRUE = *#' "$top_builddir/Makefile" || missing="yoke was built without MPI"
need_ranks() {
    [ -z "$missing" ] || {
        echo "skipped: $missing"
        exit 77
    }
}
alone() { # the digest of a fresh run without ranks
    digest "$yoke" run "$recipe" $common "$@"
}
ranks() { # how many, then the options of a run that goes on in $dir/run
    n=$1
    shift
    mpirun --quiet -np "$n" "$yoke" run "$recipe" $common --run-dir "$dir/run" "$@" >"$dir/out" 2>"$dir/log"
}
fresh_ranks() {
    rm -rf "$dir/run"
    ranks "$@"
}
ids() { # process ids of the ranks that work in $dir/run
    for p in /proc/[0-9]*; do
        tr '\0' ' ' <"$p/cmdline" | grep -q "^$yoke run .*--run-dir $dir/run" && echo "${p#/proc/}"
    done 2>/dev/null
}
