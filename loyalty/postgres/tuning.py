"""The server's settings: from the machine's memory, and for money."""

import os
from pathlib import Path

_MIB = 1 << 20
_GIB = 1 << 30
_UNLIMITED = 1 << 60

TEST_SETTINGS = {
    # Tests check logic against a database that is thrown away; nothing here is ever used for money.
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "min_wal_size": "80MB",
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
    "max_connections": "200",
}


def memory_bytes(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the memory this machine or container may use; 2 GiB where it cannot be told."""
    total = _UNLIMITED
    try:
        for line in (proc / "meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemTotal:"):
                total = int(line.split()[1]) * 1024
    except OSError:
        total = _pages()
    for limit in (cgroup / "memory.max", cgroup / "memory" / "memory.limit_in_bytes"):
        try:
            text = limit.read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, int(text))
    return 2 * _GIB if total == _UNLIMITED else total


def _pages() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return _UNLIMITED


def settings_for(memory: int) -> dict[str, str]:
    """Return PostgreSQL's settings for a machine of `memory` bytes, shared with the web processes.

    `synchronous_commit`, `fsync` and `full_page_writes` keep their safe defaults: an acknowledged transaction is on disk (performance.md).
    """
    buffers = max(128 * _MIB, min(8 * _GIB, memory // 4))
    wal = max(256 * _MIB, min(4 * _GIB, memory // 8))
    return {
        "shared_buffers": f"{buffers // _MIB}MB",
        "effective_cache_size": f"{max(256 * _MIB, memory // 2) // _MIB}MB",
        "maintenance_work_mem": f"{max(64 * _MIB, min(_GIB, memory // 32)) // _MIB}MB",
        "work_mem": "16MB",
        # Recycled WAL segments are cheaper than new ones; a checkpoint every few seconds can halve the rate.
        "min_wal_size": f"{wal // _MIB}MB",
        "max_wal_size": f"{2 * wal // _MIB}MB",
        "checkpoint_timeout": "15min",
        # Compiling a plan costs more than running it on every query of this product.
        "jit": "off",
        "random_page_cost": "1.1",
        "max_connections": "200",
        "transaction_timeout": "60s",
        "timezone": "UTC",
        "log_timezone": "UTC",
        # The log never holds a parameter, a statement's literals or a constraint's key: they may be personal.
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "logging_collector": "on",
        "log_filename": "postgresql-%a.log",
        "log_rotation_age": "1d",
        "log_truncate_on_rotation": "on",
        "log_checkpoints": "off",
    }
