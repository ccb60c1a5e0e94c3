// SPDX-License-Identifier: Apache-2.0
/*
 * RNDIS messages for an adapter that is up: {u16 bytes, message} again and again. Odd sizes go as control messages, even ones as they would lie in
 * a send section, where they may be several; what the host answers is read as a guest does.
 */
#include <string.h>

#include "rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void control(struct rig *r, const uint8_t *message, uint32_t bytes)
{
	if (bytes >= RNDIS_HEADER_BYTES && bytes <= NET_REQUEST_BYTES) {
		memset(r->n->request, 0xee, sizeof(r->n->request));
		memcpy(r->n->request, message, bytes);
		net_rndis_control(r->n, bytes);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const struct rig_config config = {.queues = 2, .guest = {.pages = 300}};
	struct rig *r = rig_create(&config);
	unsigned sections = 0;

	rig_up(r, NVSP_PROTOCOL_VERSION_61);
	while (bytes >= 2) {
		uint32_t n = load_le16(data);
		uint32_t here =
			(uint32_t)min_u64(n / 2, min_u64(bytes - 2, NET_SEND_SECTION_BYTES));

		if (n & 1) {
			control(r, data + 2, here);
		} else {
			rig_send_raw(r, 0, RIG_SECTION, sections++ % 20, data + 2, here, here);
		}
		rig_run(r);
		rig_forget(r);
		data += 2 + here;
		bytes -= 2 + here;
	}
	rig_destroy(r);
	return 0;
}
