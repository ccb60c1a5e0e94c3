// SPDX-License-Identifier: Apache-2.0
#include "hostile.h"

static uint32_t pick_relid(uint32_t honest)
{
	static const uint32_t odd[] = {0, 255, 256, 2047, 2048, 0x10001, 0x80000000, UINT32_MAX};
	uint32_t relid = roll(4) != 0 ? 1 + (uint32_t)roll(12) : odd[roll(ARRAY_LEN(odd))];

	return relid == honest ? 0 : relid;
}

static void any_words(uint32_t *m, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		m[i] = roll(2) != 0 ? (uint32_t)roll(4) : edge();
	}
}

/* Contacts that are nearly right. */
static void contact(uint32_t *m)
{
	static const uint32_t versions[] = {
		VERSION_WS2008,	    VERSION_WIN7,	VERSION_WIN8,	  VERSION_WIN8_1,
		VERSION_WIN10,	    VERSION_WIN10_V4_1, VERSION_WIN10_V5, VERSION_WIN10_V5_1,
		VERSION_WIN10_V5_2, VERSION_WIN10_V5_3, 0x00060000};
	static const uint64_t pages[] = {0,
					 HOSTILE_DATA_PFN * 4096ull,
					 HOSTILE_DATA_PFN * 4096ull + 8,
					 MEMORY_PAGES * 4096ull,
					 0xfee00000,
					 UINT64_MAX};

	m[2] = versions[roll(ARRAY_LEN(versions))];
	m[3] = (uint32_t)roll(4);
	for (unsigned i = 4; i < 10; i += 2) {
		uint64_t page = i == 4 && m[2] >= VERSION_WIN10_V5 ? 2 + (roll(4) == 0)
								   : pages[roll(ARRAY_LEN(pages))];

		memcpy(&m[i], &page, sizeof(page));
	}
}

static void any_message(uint32_t honest)
{
	static const uint32_t connections[] = {1, 1, 1, 1,	4,	  4,	     0,
					       2, 3, 5, 0x2001, 0x800074, UINT32_MAX};
	uint32_t m[60] = {(uint32_t)(roll(16) != 0 ? roll(27) : edge())};
	uint64_t bytes = roll(4) != 0 ? 40 : roll(roll(16) != 0 ? 241 : 300);

	any_words(m + 1, ARRAY_LEN(m) - 1);
	m[2] = pick_relid(honest);
	if (m[0] == CHANNELMSG_INITIATE_CONTACT) {
		contact(m);
	} else if (m[0] == CHANNELMSG_GPADL_HEADER) {
		bytes = 28 + 8 * roll(26);
		m[3] = (uint32_t)roll(6);
		m[4] = (uint32_t)(bytes - 20) | 1u << 16;
		m[5] = (uint32_t)((bytes - 28) / 8 * PAGE_BYTES);
		m[6] = 0;
		for (unsigned i = 7; i + 1 < ARRAY_LEN(m); i += 2) {
			m[i] = (uint32_t)(HOSTILE_RING_PFN + roll(64));
			m[i + 1] = 0;
		}
	} else if (m[0] == CHANNELMSG_OPENCHANNEL) {
		bytes = 148;
		m[4] = (uint32_t)roll(6);
		m[5] = (uint32_t)roll(4);
		m[6] = (uint32_t)roll(16);
	}
	bus_post_raw(connections[roll(ARRAY_LEN(connections))], roll(16) != 0 ? 1 : edge(), m,
		     bytes);
}

void hostile_messages(uint32_t honest_relid)
{
	union bus_message m;

	for (uint64_t n = 1 + roll(40); n > 0; n--) {
		any_message(honest_relid);
		if (roll(4) == 0) {
			bus_signal(edge(), (uint16_t)roll(4));
			bus_signal(0x2000 + (uint32_t)roll(12), (uint16_t)roll(2));
		}
		if (roll(4) == 0) {
			while (bus_take(&m)) {
			}
		}
	}
}
