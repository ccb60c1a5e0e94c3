// SPDX-License-Identifier: Apache-2.0
/* The guest's memory: where it is, and which pages of it are written. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "partition.h"

/* ---- Memory of the guest ---- */

static uint32_t map_flags(uint32_t rights)
{
	uint32_t flags = 0;

	flags |= (rights & GMEM_R) != 0 ? HV_MAP_GPA_READABLE : 0;
	flags |= (rights & GMEM_W) != 0 ? HV_MAP_GPA_WRITABLE : 0;
	flags |= (rights & GMEM_X) != 0 ? HV_MAP_GPA_KERNEL_EXECUTABLE | HV_MAP_GPA_USER_EXECUTABLE
					: 0;
	return flags;
}

int vid_map(struct vid_partition *p, uint64_t gpa, void *memory, uint64_t bytes, uint32_t rights)
{
	const size_t header = sizeof(struct hv_input_map_gpa);
	const uint16_t at_once = (HV_PAGE_SIZE - sizeof(struct hv_input_map_gpa)) / 8;
	union call_page *in = aligned_alloc(sizeof(*in), sizeof(*in));
	uint64_t pages = bytes / HV_PAGE_SIZE, spn = hv_host_spn(memory);
	int r = 0;

	if (in == NULL) {
		return -ENOMEM;
	}
	for (uint64_t done = 0; done < pages && r == 0;) {
		uint16_t n = (uint16_t)min_u64(at_once, pages - done);
		const struct hv_input_map_gpa map = {
			.target_partition_id = p->id,
			.target_gpa_base = gpa / HV_PAGE_SIZE + done,
			.map_flags = map_flags(rights),
		};

		memcpy(in->bytes, &map, header);
		for (uint16_t i = 0; i < n; i++) {
			in->words[header / 8 + i] = spn + done + i;
		}
		r = vid_call(p, HvCallMapGpaPages, n, in, NULL);
		done += n;
	}
	free(in);
	return r;
}

int vid_unmap(struct vid_partition *p, uint64_t gpa, uint64_t bytes)
{
	const uint64_t rep_max = (UINT64_C(1) << HV_HYPERCALL_REP_BITS) - 1;
	uint64_t pages = bytes / HV_PAGE_SIZE;
	int r = 0;

	for (uint64_t done = 0; done < pages && r == 0;) {
		uint64_t n = min_u64(rep_max, pages - done);
		const struct hv_input_map_gpa in = {
			.target_partition_id = p->id,
			.target_gpa_base = gpa / HV_PAGE_SIZE + done,
		};

		r = vid_call(p, HvCallUnmapGpaPages, (uint16_t)n, &in, NULL);
		done += n;
	}
	return r;
}

/* ---- Which pages are written ---- */

int vid_writes_start(struct vid_partition *p)
{
	return vid_set_property(p, HvPartitionPropertyGpaPageAccessTracking, 1);
}

int vid_writes_stop(struct vid_partition *p)
{
	return vid_set_property(p, HvPartitionPropertyGpaPageAccessTracking, 0);
}

static void states_to_bits(const uint8_t *states, uint64_t count, uint64_t *bitmap)
{
	for (uint64_t n = 0; n < count; n++) {
		if (n % 64 == 0) {
			bitmap[n / 64] = 0;
		}
		if (states[n] & HV_GPA_PAGE_STATE_DIRTY) {
			bitmap[n / 64] |= UINT64_C(1) << (n % 64);
		}
	}
}

int vid_writes_take(struct vid_partition *p, uint64_t gpa, uint64_t bytes, uint64_t *bitmap)
{
	const uint64_t at_once = BIT64(HV_HYPERCALL_REP_BITS) - 64; /* whole words of the bitmap */
	union call_page *states = aligned_alloc(sizeof(*states), sizeof(*states));
	uint64_t pages = bytes / HV_PAGE_SIZE;
	int r = states != NULL ? 0 : -ENOMEM;

	for (uint64_t done = 0; done < pages && r == 0; done += at_once) {
		uint64_t n = min_u64(at_once, pages - done);
		const struct hv_input_get_gpa_pages_access_state in = {
			.partition_id = p->id,
			.flags = HV_GPA_PAGE_CLEAR_DIRTY,
			.gpa_page = gpa / HV_PAGE_SIZE + done,
		};

		r = vid_call(p, HvCallGetGpaPagesAccessState, (uint16_t)n, &in, states);
		if (r == 0) {
			states_to_bits(states->bytes, n, bitmap + done / 64);
		}
	}
	free(states);
	return r;
}
