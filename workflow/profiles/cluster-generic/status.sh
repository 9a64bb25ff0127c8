#!/bin/sh
# status.sh JOB: running, success or failed, for Snakemake's cluster-generic executor. A job that the scheduler does not
# know yet, or whose end is not on record yet, counts as running.
job=$1

ended() { # $1: exit code, or nothing where it is not known yet
    case $1 in
    "") echo running ;;
    0) echo success ;;
    *) echo failed ;;
    esac
}

if command -v squeue >/dev/null; then # Slurm
    case $(squeue --noheader --states=all --format=%T --jobs="$job" 2>/dev/null) in
    COMPLETED) echo success ;;
    "" | PENDING | CONFIGURING | RUNNING | COMPLETING | SUSPENDED | REQUEUED | RESIZING) echo running ;;
    *) echo failed ;;
    esac
elif command -v bjobs >/dev/null; then # LSF
    case $(bjobs -noheader -o stat "$(echo "$job" | tr -cd 0-9)" 2>/dev/null) in
    DONE) echo success ;;
    EXIT) echo failed ;;
    *) echo running ;;
    esac
elif command -v qacct >/dev/null; then # SGE
    if qstat -j "$job" >/dev/null 2>&1; then
        echo running
    else
        # `failed` says that the scheduler ended the job, `exit_status` what the job itself said.
        ended "$(qacct -j "$job" 2>/dev/null | awk '$1 == "failed" || $1 == "exit_status" {sum += $2; found = 1}
            END {if (found) print sum}')"
    fi
else # PBS
    ended "$(qstat -xf "$job" 2>/dev/null | awk -F' = ' '$1 ~ /Exit_status/ {print $2}')"
fi
