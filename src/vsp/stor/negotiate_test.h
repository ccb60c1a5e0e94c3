/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of the start of the protocol. */
#ifndef STOR_NEGOTIATE_TEST_H
#define STOR_NEGOTIATE_TEST_H

#include "test/test.h"

#include <errno.h>

#include "lib/bits.h"
#include "rig.h"

static const uint16_t versions[] = {VSTOR_VERSION_WIN6, VSTOR_VERSION_WIN7, VSTOR_VERSION_WIN8,
				    VSTOR_VERSION_WIN8_1, VSTOR_VERSION_WIN10};

static inline uint32_t ask_version(struct rig *r, uint16_t version, struct vstor_packet *ret)
{
	*ret = (struct vstor_packet){
		.header = {.operation = VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, .flags = 1},
		.version.version = version,
	};
	return rig_ask(r, 0, ret, sizeof(*ret));
}

static inline uint32_t ask_subchannels(struct rig *r, uint16_t count)
{
	struct vstor_packet packet = {
		.header = {.operation = VSTOR_OPERATION_CREATE_SUB_CHANNELS, .flags = 1},
		.subchannels = count,
	};

	return rig_ask(r, 0, &packet, sizeof(packet));
}

static inline void advance_to(struct rig *r, enum stor_state state)
{
	struct vstor_packet packet;

	if (state > STOR_BEGIN) {
		rig_operation(r, 0, VSTOR_OPERATION_BEGIN_INITIALIZATION);
	}
	if (state > STOR_VERSION) {
		ask_version(r, VSTOR_VERSION_WIN10, &packet);
	}
	if (state > STOR_PROPERTIES) {
		rig_operation(r, 0, VSTOR_OPERATION_QUERY_PROPERTIES);
	}
	if (state > STOR_END) {
		rig_operation(r, 0, VSTOR_OPERATION_END_INITIALIZATION);
	}
}

#endif
