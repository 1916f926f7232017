#!/bin/bash

# Parameters
#SBATCH --array=0-1%2
#SBATCH --cpus-per-task=8
#SBATCH --error=HERE/runs/sweeps/.slurm/%A_%a/%A_%a_0_log.err
#SBATCH --gpus-per-node=1
#SBATCH --job-name=train
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --open-mode=append
#SBATCH --output=HERE/runs/sweeps/.slurm/%A_%a/%A_%a_0_log.out
#SBATCH --requeue
#SBATCH --signal=USR2@120
#SBATCH --time=1440
#SBATCH --wckey=submitit

# command
export SUBMITIT_EXECUTOR=slurm
srun --unbuffered --output HERE/runs/sweeps/.slurm/%A_%a/%A_%a_%t_log.out --error HERE/runs/sweeps/.slurm/%A_%a/%A_%a_%t_log.err PYTHON -u -m submitit.core._submit HERE/runs/sweeps/.slurm/%j
