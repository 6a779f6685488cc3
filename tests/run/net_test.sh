#!/bin/sh
# A step's seconds over a network against what `yoke plan` says, by hand: make net-test, as root. Every rank is in a
# network namespace of its own, joined to a bridge in another one by a line of RATE (1 Gb/s) each way, and a node of its
# own, so that nothing goes through shared memory. Nothing outside these namespaces is touched.
#
# The ranks share this machine's processors. So the plan is made as many times as there are ranks, at the same time, by
# `--measure`: each copy finds what a rank gets beside the others, and the mean of their answers counts. It is made for
# the line, and again for the rate at which tests/comm/compare, in the same namespaces, exchanges: where others compute,
# too, ranks come late to messages, and get less than the line carries. Only an idle machine tells how good the plan is.
. "${top_srcdir:=.}/tests/run/common.sh"
rate=${RATE:-1} steps=${STEPS:-6} latency=${LATENCY:-50us}
[ "$(id -u)" = 0 ] || { echo "needs root, for network namespaces"; exit 77; }
for tool in ip tc mpirun; do
    command -v $tool >/dev/null || { echo "needs $tool"; exit 77; }
done
hub=yoke-net-$$
spaces=$hub
trap 'for s in $spaces; do ip netns del $s 2>/dev/null; done; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
limit() { # namespace, device
    ip netns exec $1 tc qdisc add dev $2 root tbf rate ${rate}gbit burst 128kb latency 200ms
}
ip netns add $hub
ip -n $hub link set lo up
ip -n $hub link add bridge type bridge
ip -n $hub addr add 10.77.0.254/24 dev bridge
ip -n $hub link set bridge up
for i in 0 1 2 3; do
    s=$hub-$i
    ip netns add $s
    spaces="$spaces $s"
    ip -n $s link set lo up
    ip -n $hub link add port$i type veth peer name line netns $s
    ip -n $hub link set port$i master bridge up
    ip -n $s addr add 10.77.0.$((i + 1))/24 dev line
    ip -n $s link set line up
    limit $hub port$i
    limit $s line
done

OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1
OMPI_MCA_pml=ob1 OMPI_MCA_btl=self,tcp OMPI_MCA_btl_tcp_if_include=10.77.0.0/24 # no shared memory
PMIX_MCA_ptl_tcp_if_include=bridge PMIX_MCA_ptl_tcp_remote_connections=1        # ranks reach mpirun over the bridge
YOKE_NODE_RANKS=1 OMP_WAIT_POLICY=passive
export OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM OMPI_MCA_rmaps_base_oversubscribe \
    OMPI_MCA_hwloc_base_binding_policy OMPI_MCA_mpi_yield_when_idle OMPI_MCA_pml OMPI_MCA_btl \
    OMPI_MCA_btl_tcp_if_include PMIX_MCA_ptl_tcp_if_include PMIX_MCA_ptl_tcp_remote_connections YOKE_NODE_RANKS \
    OMP_WAIT_POLICY
cat >"$dir/rank" <<END
#!/bin/sh
exec ip netns exec $hub-\$OMPI_COMM_WORLD_RANK "\$@"
END
chmod +x "$dir/rank"
recipe=$top_srcdir/conf/tiny.yaml
common="--set threads=1 --set lanes=4 --set clean.heldout_fraction=0.01 --set pretrain.eval_every=1000 \
    --set pretrain.checkpoint_every=1000 --set pretrain.steps=$steps --set pretrain.lr=1e-4"
small="--set model.width=384 --set model.layers=4 --set model.heads=6 --set model.kv_heads=6 --set model.head_size=64 \
    --set model.ffn=1024"
large="--set model.width=512 --set model.layers=4 --set model.heads=8 --set model.kv_heads=8 --set model.head_size=64 \
    --set model.ffn=1408"
"$yoke" run "$recipe" $common --set "stages=[clean, tokenizer]" --run-dir "$dir/base" >"$dir/out" 2>"$dir/log" || {
    cat "$dir/log"
    exit 1
}
number() { # member, JSON with a member a line
    sed -n "s/.*\"$1\": \([^,}]*\),*$/\1/p" "$2" | head -n 1
}
exchange_rate() { # ranks: $got, the bits a second that a rank sends in a sum and gathering of 10 MB
    got=$(ip netns exec $hub timeout 100 mpirun --quiet -np "$1" "$dir/rank" "$top_builddir/tests/comm/compare" 10 \
        </dev/null 2>"$dir/log" | awk -v n="$1" '$1 == 10 { print 8 * $4 * 2 * (n - 1) / n / 0.94 }')
}
predict() { # ranks, Gb/s, options: $seconds and $bytes of a step
    n=$1 net=$2
    shift 2
    waited=
    for i in $(seq "$n"); do
        "$yoke" plan "$recipe" --nodes "$n" --threads 1 --net ${net}Gb --latency $latency --measure --json "$@" \
            >"$dir/plan.$i" 2>"$dir/log" &
        waited="$waited $!"
    done
    wait $waited
    seconds=$(for i in $(seq "$n"); do number step_seconds "$dir/plan.$i"; done |
        awk '{ s += $1 } END { print s / NR }')
    bytes=$(number traffic_per_step "$dir/plan.1")
}
measure() { # ranks, options: $median of a step's seconds, and $late, the share that ranks wait for the slowest
    n=$1
    shift
    fresh
    ip netns exec $hub timeout 200 mpirun --quiet -np "$n" "$dir/rank" "$yoke" run "$recipe" --run-dir "$dir/run" \
        --set "stages=[clean, tokenizer, pretrain]" "$@" >"$dir/out" 2>"$dir/log" </dev/null || {
        cat "$dir/log"
        exit 1
    }
    median=$(sed -n 's/.*"type":"step".*"seconds":\([^,]*\),.*/\1/p' "$dir/run/metrics.jsonl" | tail -n +3 | sort -g |
        awk '{ x[NR] = $1 } END { print x[int((NR + 1) / 2)] }')
    late=$(number imbalance "$dir/run/summary.json")
}
echo "$rate Gb/s a rank, $(getconf _NPROCESSORS_ONLN) processors, load $(cut -d ' ' -f 1 /proc/loadavg)"
printf '%-6s %5s %5s %9s %6s %10s %6s %9s %10s %6s %10s\n' model ranks zero measured late "by line" ratio Gb/s \
    "by rate" ratio "MB a step"
outside=0
for line in ${CASES:-small:2:0 small:2:1 small:4:0 small:4:1 small:4:2 large:2:0 large:4:1}; do
    model=${line%%:*} ranks=${line#*:} zero=${line##*:}
    ranks=${ranks%:*}
    eval "options=\"\$common \$$model --set zero=$zero\""
    exchange_rate "$ranks"
    predict "$ranks" "$rate" $options
    by_line=$seconds
    measure "$ranks" $options
    predict "$ranks" "${got:-$rate}" $options
    echo "$model $ranks $zero $median $by_line ${got:-0} $seconds $bytes $late" | awk '{
        printf "%-6s %5d %5d %9.3f %4.0f %% %10.3f %6.2f %9.3f %10.3f %6.2f %10.2f\n", $1, $2, $3, $4, 100 * $9, $5,
            $5 / $4, $6, $7, $7 / $4, $8 / 1e6
        exit $7 / $4 < 0.8 || $7 / $4 > 1.2
    }' || outside=$((outside + 1))
done
echo "$outside outside 20 %"
