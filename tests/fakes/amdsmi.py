"""The part of amdsmi's Python interface that the agent asks, on cards that a test lays down in `CARDS`."""

CARDS: list[dict] = []


class AmdSmiException(Exception):
    pass


class AmdSmiMemoryType:
    VRAM = 0


def amdsmi_init():
    pass


def amdsmi_get_processor_handles():
    return list(range(len(CARDS)))


def _told(handle, name):
    if CARDS[handle].get(name) is None:
        raise AmdSmiException("not supported")
    return CARDS[handle][name]


def amdsmi_get_gpu_asic_info(handle):
    return {"market_name": _told(handle, "name"), "asic_serial": _told(handle, "serial")}


def amdsmi_get_gpu_device_uuid(handle):
    return f"uuid-{handle}"


def amdsmi_get_gpu_memory_total(handle, kind):
    return 64 * 2**30


def amdsmi_get_energy_count(handle):
    return {"energy_accumulator": _told(handle, "ticks"), "counter_resolution": 15.3, "timestamp": 0}


def amdsmi_get_power_info(handle):
    return {"current_socket_power": "N/A", "average_socket_power": _told(handle, "power_w")}


def amdsmi_get_gpu_activity(handle):
    return {"gfx_activity": _told(handle, "percent"), "umc_activity": "N/A", "mm_activity": "N/A"}
