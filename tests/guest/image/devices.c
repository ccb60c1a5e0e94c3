// SPDX-License-Identifier: Apache-2.0
/*
 * A guest that uses its devices when it is told to, and waits in between: for saved states, which have to go on years later. On the console: 'd' writes
 * and reads its disk, 'n' sends a frame, 'b' tells how many heartbeats it answered, 't' measures its APIC timer, 'q' turns off. What it learned from the devices stays in
 * its memory only: nothing is asked again after it said "ready".
 */
#include "devices.h"

#define DISK_RING_PFN 0x800u
#define DISK_DATA_PFN 0x820u
#define BEAT_RING_PFN 0x840u
#define SECTOR_BYTES 512u
#define SECTORS 8u
#define FIRST_LBA 1000u
#define VERSIONS_MAX 8u

static struct bus_channel disk, beat;
static uint64_t beats, round;

/* ---- Disk: a page of numbers is written, and read back elsewhere ---- */

static bool transfer(bool write, uint32_t lba, uint64_t pfn)
{
	const uint8_t cdb[10] = {
		write ? 0x2a : 0x28, [4] = (uint8_t)(lba >> 8), [5] = (uint8_t)lba, [8] = SECTORS};
	struct vstor_packet r;

	/* What the unit has to tell comes first. */
	for (unsigned tries = 0; tries < 4; tries++) {
		if (!stor_command(&disk, 0, cdb, sizeof(cdb),
				  write ? VSTOR_DATA_WRITE : VSTOR_DATA_READ, pfn,
				  SECTORS * SECTOR_BYTES, &r)) {
			return false;
		}
		if (r.srb.srb_status == SRB_STATUS_SUCCESS) {
			return true;
		}
	}
	return false;
}

static bool use_disk(void)
{
	uint64_t *out = (uint64_t *)(DISK_DATA_PFN * (uint64_t)PAGE_BYTES), *in = out + 512;
	uint32_t lba = FIRST_LBA + (uint32_t)round % 64 * SECTORS;

	round++;
	for (uint64_t i = 0; i < 512; i++) {
		out[i] = (round << 32 | i) * 0x9e3779b97f4a7c15ull;
		in[i] = 0;
	}
	if (!transfer(true, lba, DISK_DATA_PFN) || !transfer(false, lba, DISK_DATA_PFN + 1)) {
		return false;
	}
	for (unsigned i = 0; i < 512; i++) {
		if (in[i] != out[i]) {
			return false;
		}
	}
	return true;
}

static bool start_disk(void)
{
	static const struct guid scsi = VSTOR_SCSI_TYPE;
	const struct vmbus_offer_channel *o = devices_find(&scsi);

	return o != NULL && bus_open(&disk, o, DISK_RING_PFN, 8, 0) &&
	       stor_start(&disk, VSTOR_VERSION_WIN10);
}

/* ---- Heartbeat ---- */

struct beat_message {
	struct vmbus_pipe_header pipe;
	struct ic_header header;
	union {
		struct ic_heartbeat_body body;
		struct {
			struct ic_negotiate counts;
			struct ic_version versions[VERSIONS_MAX];
		} negotiate;
		uint8_t bytes[64];
	};
} __attribute__((packed));

/* The first of the framework's and of the component's, which the host likes best. */
static void choose_versions(struct beat_message *m)
{
	unsigned of_component = m->negotiate.counts.framework_count;

	if (of_component > 0 && of_component < VERSIONS_MAX) {
		m->negotiate.versions[1] = m->negotiate.versions[of_component];
		m->negotiate.counts.framework_count = m->negotiate.counts.message_count = 1;
		m->header.bytes = sizeof(m->negotiate.counts) + 2 * sizeof(struct ic_version);
	}
}

static void answer_beat(void)
{
	struct beat_message m;
	uint64_t transaction;
	uint32_t bytes = sizeof(m.pipe) + sizeof(m.header);

	if (!bus_receive_some(&beat, &transaction, &m, sizeof(m))) {
		return;
	}
	if (m.header.type == IC_MESSAGE_NEGOTIATE) {
		choose_versions(&m);
	} else if (m.header.type == IC_MESSAGE_HEARTBEAT) {
		m.body.sequence++;
		beats++;
	}
	m.header.status = IC_STATUS_OK;
	m.header.flags = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE;
	bytes += m.header.bytes;
	m.pipe.bytes = bytes - (uint32_t)sizeof(m.pipe);
	bus_send(&beat, VMBUS_PACKET_DATA_INBAND, 0, transaction, NULL, 0, &m,
		 bytes < sizeof(m) ? bytes : sizeof(m));
}

static bool start_beat(void)
{
	static const struct guid type = IC_HEARTBEAT_TYPE;
	const struct vmbus_offer_channel *o = devices_find(&type);

	return o != NULL && bus_open(&beat, o, BEAT_RING_PFN, 4, 0);
}

/* ---- APIC timer: its rate by the reference time ---- */

#define APIC_BASE 0x1bu
#define APIC_BASE_X2APIC 0xc00u
#define X2APIC_LVT_TIMER 0x832u
#define X2APIC_INITIAL 0x838u
#define X2APIC_CURRENT 0x839u
#define X2APIC_DIVIDE 0x83eu
#define DIVIDE_BY_1 0xbu
#define LVT_MASKED 0x10000u
#define MEASURED_100NS 1000000u /* 0.1 s */
#define NEAR_100NS 500u

/* Reads the count at a known time. A host that does something else in between is waited for, one that takes long for each register is not. */
static uint32_t count_at(uint64_t *ret_100ns)
{
	for (uint64_t near = NEAR_100NS;; near += near / 4) {
		uint64_t before = bus_now();
		uint32_t count = (uint32_t)rdmsr(X2APIC_CURRENT);

		*ret_100ns = bus_now();
		if (*ret_100ns - before <= near) {
			return count;
		}
	}
}

static unsigned apic_mhz(void)
{
	uint64_t from, to;
	uint32_t first, last;

	wrmsr(APIC_BASE, rdmsr(APIC_BASE) | APIC_BASE_X2APIC);
	wrmsr(X2APIC_LVT_TIMER, LVT_MASKED);
	wrmsr(X2APIC_DIVIDE, DIVIDE_BY_1);
	do {
		wrmsr(X2APIC_INITIAL, UINT32_MAX);
		first = count_at(&from);
		do {
			last = count_at(&to);
		} while (to - from < MEASURED_100NS);
	} while (last == 0); /* the host slept */
	wrmsr(X2APIC_INITIAL, 0);
	return (unsigned)((first - last) * 10ull / (to - from));
}

/* To the next hundred: enough to tell rates apart. */
static void say_apic(void)
{
	print("apic ");
	print_decimal((apic_mhz() + 50) / 100 * 100);
	print(" MHz\n");
}

/* ---- The console ---- */

static void say(const char *what, bool well)
{
	print(what);
	print(well ? " ok\n" : " FAILED\n");
}

static void obey(uint8_t key)
{
	switch (key) {
	case 'd':
		say("disk", use_disk());
		break;
	case 'n':
		say("frame", net_send_frame());
		break;
	case 'b':
		print("beats ");
		print_decimal((unsigned)beats);
		print("\n");
		break;
	case 't':
		say_apic();
		break;
	case 'q':
		__asm__ volatile("outw %0, %1" : : "a"((uint16_t)0x2000), "Nd"((uint16_t)0x404));
		break;
	default:
		break;
	}
}

const struct vmbus_offer_channel *devices_find(const struct guid *type)
{
	for (unsigned i = 0; i < bus_offer_count; i++) {
		if (guid_equal(&bus_offers[i].type, type) && bus_offers[i].subchannel_index == 0) {
			return &bus_offers[i];
		}
	}
	return NULL;
}

void guest_main(void)
{
	bus_start();
	say("bus", bus_connect(VERSION_WIN10_V5_3));
	say("start disk", start_disk() && use_disk());
	say("start adapter", net_start());
	say("start heartbeat", start_beat());
	while (beats == 0) {
		answer_beat();
	}
	print("ready\n");
	for (;;) {
		if (bus_pending(&beat)) {
			answer_beat();
		}
		net_look();
		if ((inb(0x3fd) & 1) != 0) {
			obey(inb(0x3f8));
		}
		__asm__ volatile("pause");
	}
}
