"""The part of amdsmi's Python interface that the agent asks, as version 7.0 has it, on cards that a test lays down.

A card in `CARDS` is a dictionary of what it tells; a missing or empty entry raises as the library does.
"""

import enum

CARDS: list[dict] = []
RESOLUTION_UJ = 15.3


class AmdSmiException(Exception):
    pass


class AmdSmiLibraryException(AmdSmiException):
    def __init__(self, err_code):
        super().__init__(err_code)
        self.err_code = err_code


class AmdSmiMemoryType(enum.IntEnum):
    VRAM = 0


def amdsmi_init(flag=2):
    pass


def amdsmi_get_processor_handles():
    return list(range(len(CARDS)))


def _told(handle, name):
    if CARDS[handle].get(name) is None:
        raise AmdSmiLibraryException(2)  # AMDSMI_STATUS_NOT_SUPPORTED
    return CARDS[handle][name]


def amdsmi_get_gpu_asic_info(processor_handle):
    return {"market_name": _told(processor_handle, "name"), "asic_serial": _told(processor_handle, "serial")}


def amdsmi_get_gpu_device_uuid(processor_handle):
    return _told(processor_handle, "uuid")


def amdsmi_get_gpu_enumeration_info(processor_handle):
    return {"drm_card": 0, "hsa_id": 1 + _told(processor_handle, "hip_id"), "hip_id": _told(processor_handle, "hip_id")}


def amdsmi_get_power_cap_info(processor_handle):
    return {"power_cap": _told(processor_handle, "cap_uw"), "dpm_cap": 0, "min_power_cap": 0, "max_power_cap": 0}


def amdsmi_get_gpu_memory_total(processor_handle, mem_type):
    assert isinstance(mem_type, AmdSmiMemoryType)
    return 64 * 2**30


def amdsmi_get_energy_count(processor_handle):
    ticks, uptime_ns = _told(processor_handle, "ticks"), CARDS[processor_handle].get("uptime_ns", 0)
    return {"energy_accumulator": ticks, "counter_resolution": RESOLUTION_UJ, "timestamp": uptime_ns}


def amdsmi_get_power_info(processor_handle):
    average, current = _told(processor_handle, "power_w"), CARDS[processor_handle].get("current_w", "N/A")
    return {"current_socket_power": current, "average_socket_power": average, "gfx_voltage": "N/A", "power_limit": 0}


def amdsmi_get_gpu_activity(processor_handle):
    return {"gfx_activity": _told(processor_handle, "percent"), "umc_activity": "N/A", "mm_activity": "N/A"}


def amdsmi_get_gpu_process_list(processor_handle):
    return [{"name": "python", "pid": pid, "mem": 0} for pid in _told(processor_handle, "pids")]
