"""What the host runs on: operating system, hypervisor, container, scheduler job."""

from __future__ import annotations

import os
from collections.abc import Mapping

from flopbench.machine.source import Source

#: DMI vendor and product words of virtual machines. Source: systemd, src/basic/virt.c (detect_vm_dmi).
_DMI_WORDS = {
    "KVM": "KVM",
    "QEMU": "QEMU",
    "Amazon EC2": "Amazon EC2",
    "Google Compute Engine": "Google Compute Engine",
    "OpenStack": "OpenStack",
    "VMware": "VMware",
    "VirtualBox": "Oracle VirtualBox",
    "innotek GmbH": "Oracle VirtualBox",
    "Xen": "Xen",
    "Bochs": "Bochs",
    "Parallels": "Parallels",
    "Virtual Machine": "Microsoft Hyper-V",
}

#: Scheduler -> the variable that shows it, then what is kept: our word -> its variable.
_SCHEDULERS: dict[str, tuple[str, dict[str, str]]] = {
    "slurm": (
        "SLURM_JOB_ID",
        {
            "id": "SLURM_JOB_ID",
            "nodes": "SLURM_JOB_NUM_NODES",
            "tasks": "SLURM_NTASKS",
            "cpus_per_task": "SLURM_CPUS_PER_TASK",
            "cpus_on_node": "SLURM_CPUS_ON_NODE",
            "gpus_on_node": "SLURM_GPUS_ON_NODE",
            "partition": "SLURM_JOB_PARTITION",
            "exclusive": "SLURM_JOB_EXCLUSIVE",
        },
    ),
    "pbs": ("PBS_JOBID", {"id": "PBS_JOBID", "queue": "PBS_QUEUE", "cpus_on_node": "NCPUS", "tasks": "PBS_NP"}),
    "lsf": ("LSB_JOBID", {"id": "LSB_JOBID", "queue": "LSB_QUEUE", "tasks": "LSB_DJOB_NUMPROC"}),
    "flux": ("FLUX_JOB_ID", {"id": "FLUX_JOB_ID", "nodes": "FLUX_JOB_NNODES", "tasks": "FLUX_JOB_SIZE"}),
}


def operating_system(source: Source) -> str:
    """The distribution's own name for itself (os-release(5)), else the kernel's."""
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        for line in (source.read(path) or "").splitlines():
            key, _, value = line.partition("=")
            if key == "PRETTY_NAME":
                return value.strip().strip("\"'")
    return str(source.uname.system)


def hypervisor(source: Source, cpuinfo: list[dict[str, str]], lscpu: dict[str, str]) -> tuple[str | None, str | None]:
    """(name, reason). A name if this is a virtual machine; else None, with a reason if that is not certain."""
    firmware = " ".join(
        text
        for name in ("sys_vendor", "product_name", "board_vendor")
        if (text := source.read(f"/sys/class/dmi/id/{name}"))
    )
    model = source.read("/proc/device-tree/model") or ""
    named = lscpu.get("Hypervisor vendor") or lscpu.get("Hypervisor") or source.read("/sys/hypervisor/type")
    by_firmware = next((name for word, name in _DMI_WORDS.items() if word in firmware), None)
    flags = (cpuinfo[0].get("flags", "") if cpuinfo else "").split()
    if named:
        return named, None
    # bare-metal instances of a cloud carry its name in the firmware, but no flag: on x86 the flag decides
    if "hypervisor" in flags:
        return by_firmware or "unknown", None if by_firmware else "the flag is set, but neither lscpu nor DMI names it"
    if flags:
        return None, None
    if by_firmware and by_firmware != "Amazon EC2":
        return by_firmware, None
    if "qemu" in model.lower() or "IBM pSeries (emulated" in model:
        return "KVM", None
    return None, "this architecture has no hypervisor flag, and neither lscpu nor the firmware names one"


def container(source: Source) -> str | None:
    """The kind of container that this process is in, if it shows: files of Docker and Podman, the variable `container`, cgroup names."""
    if name := source.environ.get("APPTAINER_NAME") or source.environ.get("SINGULARITY_NAME"):
        return f"apptainer ({os.path.basename(name)})"
    if source.exists("/run/.containerenv"):
        return "podman"
    if "KUBERNETES_SERVICE_HOST" in source.environ:
        return "kubernetes"
    if source.exists("/.dockerenv"):
        return "docker"
    if name := source.environ.get("container"):
        return name
    groups = source.read("/proc/1/cgroup") or ""
    return next((name for name in ("kubepods", "docker", "lxc", "garden") if f"/{name}" in groups), None)


def job(environ: Mapping[str, str], source: Source) -> dict[str, str] | None:
    """The scheduler's job that this process belongs to: scheduler, id, nodes, tasks and the like; None outside of one."""
    for scheduler, (marker, fields) in _SCHEDULERS.items():
        if marker not in environ:
            continue
        found = {"scheduler": scheduler, **{word: environ[name] for word, name in fields.items() if name in environ}}
        if scheduler == "pbs" and (hosts := source.read(environ.get("PBS_NODEFILE", ""))):
            found["nodes"] = str(len(set(hosts.split())))
        return found
    return None
