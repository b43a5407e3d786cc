#!/usr/bin/env bash
# A Slurm of one node on this machine, for a test: Debian's packages slurmctld, slurmd, slurm-client, munge.
set -euo pipefail
here=$1
mkdir -p "$here"/{state,spool,log}
host=$(hostname -s)
mkdir -p /run/munge /var/log/munge /var/lib/munge /etc/munge
[ -f /etc/munge/munge.key ] || (dd if=/dev/urandom of=/etc/munge/munge.key bs=1 count=1024 status=none; chmod 400 /etc/munge/munge.key)
chown -R munge: /etc/munge /run/munge /var/log/munge /var/lib/munge
pgrep -x munged >/dev/null || runuser -u munge -- /usr/sbin/munged
cat > "$here/slurm.conf" <<EOF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerType=sched/backfill
SlurmdParameters=config_overrides
GresTypes=gpu
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
StateSaveLocation=$here/state
SlurmdSpoolDir=$here/spool
SlurmctldPidFile=$here/slurmctld.pid
SlurmdPidFile=$here/slurmd.pid
SlurmctldLogFile=$here/log/slurmctld.log
SlurmdLogFile=$here/log/slurmd.log
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MinJobAge=300
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=8 RealMemory=16000 Gres=gpu:1 State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
EOF
# A node as the profile wants it, whatever this machine has: what is a GPU to Slurm is nothing to the jobs.
echo "Name=gpu File=/dev/null" > "$here/gres.conf"
# Jobs see no SLURM_CONF of ours: what submits them removes it from their environment.
mkdir -p /etc/slurm
ln -sfn "$here/slurm.conf" /etc/slurm/slurm.conf
ln -sfn "$here/gres.conf" /etc/slurm/gres.conf
slurmctld
slurmd
for _ in $(seq 50); do sinfo -h 2>/dev/null | grep -q idle && break; sleep 0.2; done
sinfo
