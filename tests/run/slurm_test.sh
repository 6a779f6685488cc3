#!/bin/sh
# The job scripts of conf/slurm under a Slurm of its own: two nodes of two processors that are both this machine, on
# the loopback, in a temporary folder, for this user. By hand: make slurm-test [RANKS=1]. Debian: apt install slurm-wlm
# One run is signalled before its time limit, one below srun and one task of an array by hand; they go back into the
# queue and end with the digest of an unbroken run. A cancelled one stays cancelled. All daemons are ended by their id.
. "${top_srcdir:=.}/tests/run/common.sh"
PATH=$(cd "$top_builddir" && pwd):$(cd "$top_srcdir/scripts" && pwd):$PATH:/usr/sbin:/sbin
OMP_WAIT_POLICY=passive SLURM_CONF=$dir/slurm.conf
export PATH OMP_WAIT_POLICY SLURM_CONF
for program in slurmctld slurmd sbatch srun; do
    command -v $program >/dev/null || { echo "skipped: $program is missing: apt-get install slurm-wlm"; exit 0; }
done

user=$(id -un) port=$((20000 + $$ % 20000)) daemons=
cat >"$SLURM_CONF" <<CONF
ClusterName=yoke
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$port
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/none
CredType=cred/none
AuthInfo=cred_expire=5
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/%n.pid
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=2
SlurmdParameters=config_overrides
KillWait=5
NodeName=n[1-2] NodeHostname=localhost NodeAddr=127.0.0.1 Port=[$((port + 1))-$((port + 2))] CPUs=2 RealMemory=1000
PartitionName=test Nodes=ALL Default=YES State=UP
CONF
mkdir "$dir/state" "$dir/n1" "$dir/n2"
end_all() {
    scancel --user="$user" 2>/dev/null
    wait_for 20 'no_jobs'
    [ -z "$daemons" ] || kill $daemons 2>/dev/null
    wait
    rm -rf "$dir"
}
wait_for() { # seconds, condition
    left=$1
    until eval "$2" || [ "$left" -le 0 ]; do
        sleep 1
        left=$((left - 1))
    done 2>/dev/null
}
no_jobs() { [ -z "$(squeue --noheader 2>/dev/null)" ]; }
begin() { # log, daemon
    log=$1
    shift
    "$@" >"$dir/$log.log" 2>&1 &
    daemons="$daemons $!"
}
field() { # job, name of a field of scontrol
    scontrol show job "$1" --oneliner | tr ' ' '\n' | sed -n "s/^$2=//p" | head -n 1
}
submit() { # script of conf/slurm, options of sbatch: a copy with the line edited that names recipe and run directory
    name=${1%.sh}
    shift
    sed "s|^recipe=.*|recipe=$dir/$name.yaml run_dir=$dir/$name|" "$top_srcdir/conf/slurm/$name.sh" >"$dir/$name.sh"
    sbatch --parsable --chdir="$dir" --output="$dir/$name.log" --time=1 --signal=B:USR1@1 --cpus-per-task=1 --mem=100 \
        "$@" "$dir/$name.sh"
}

trap end_all EXIT
trap 'exit 1' INT TERM HUP
begin slurmctld slurmctld -D -i
wait_for 10 'scontrol ping >/dev/null 2>&1'
begin n1.slurmd slurmd -D -N n1
begin n2.slurmd slurmd -D -N n2
wait_for 20 '[ "$(sinfo --noheader --format=%T)" = idle ]'
verdict "two nodes of Slurm $(slurmctld -V | cut -d" " -f2)" idle "$(sinfo --noheader --format=%T)"

recipe() { # name, steps, lanes
    sed "s/steps: 60/steps: $2/; s/every: 20/every: 5000/" "$top_srcdir/conf/tiny.yaml" >"$dir/$1.yaml"
    printf 'threads: 1\nlanes: %s\n' "$3" >>"$dir/$1.yaml"
}
unbroken() { # script, seed
    "$yoke" run "$dir/$1.yaml" --run-dir "$dir/unbroken-$1-$2" --set seed="$2" 2>/dev/null |
        tail -n 1
}
has() { # log, pattern
    grep -q "$2" "$dir/$1.log" && echo yes || echo no
}
ends() { # name, job, wanted digest, log
    job=$2
    wait_for 90 '[ "$(field "$job" JobState)" = COMPLETED ]'
    verdict "$1 goes on until it has ended" "COMPLETED 0:0" "$(field "$2" JobState) $(field "$2" ExitCode)"
    verdict "$1 has the digest of an unbroken run" "$3" "$(tail -n 1 "$dir/$4.log")"
}
back='goes back into the queue'

asked() { # job, its run directory: USR1 by hand, when it trains
    wait_for 60 "[ -s $dir/$2/metrics.jsonl ]"
    scancel --batch --signal=USR1 "$1"
}

# Slurm looks at time limits twice a minute: USR1 comes within 35 s, and the run must take longer.
recipe one-node "${STEPS:-36000}" 1
recipe array 6000 1
recipe many-nodes 6000 "${RANKS:-1}"
one=$(submit one-node.sh --signal=B:USR1@55)
array=$(submit array.sh --array=0-1 --output="$dir/array-%a.log")
asked "${array}_1" array/seed=2
wanted=$(unbroken one-node 7)
verdict "USR1 before the time limit stops the run" yes "$(has one-node '^stopped; the same command goes on')"
many=$(submit many-nodes.sh --nodes="${RANKS:-1}" --ntasks-per-node=1)
asked "$many" many-nodes
ends "a task of an array" "${array}_1" "$(unbroken array 2)" array-1
ends "another task" "${array}_0" "$(unbroken array 1)" array-0
verdict "the task that was asked to stop was requeued alone" "yes no" "$(has array-1 "$back") $(has array-0 "$back")"
ends "the run below srun" "$many" "$(unbroken many-nodes 7)" many-nodes
verdict "srun passed the signal on" yes "$(has many-nodes "$back")"
ends "the run" "$one" "$wanted" one-node
verdict "its job was requeued" yes "$([ "$(field "$one" Restarts)" -gt 0 ] && echo yes)"

rm -rf "$dir/one-node"
one=$(submit one-node.sh --output="$dir/cancelled.log")
wait_for 30 '[ -s "$dir/one-node/metrics.jsonl" ]'
scancel "$one"
wait_for 20 no_jobs
verdict "what is cancelled stays so" CANCELLED "$(field "$one" JobState)"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
