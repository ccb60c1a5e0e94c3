// SPDX-License-Identifier: Apache-2.0
#include "check_space.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/check.h"

int vhd_space_init(struct vhd_space *s, uint64_t units)
{
	size_t count = (size_t)((units + VHD_SPACE_PIECE_UNITS - 1) / VHD_SPACE_PIECE_UNITS);

	*s = (struct vhd_space){.units = units, .piece_count = count};
	s->pieces = calloc(count != 0 ? count : 1, sizeof(*s->pieces));
	return s->pieces != NULL ? 0 : -ENOMEM;
}

void vhd_space_fini(struct vhd_space *s)
{
	for (size_t i = 0; s->pieces != NULL && i < s->piece_count; i++) {
		free(s->pieces[i]);
	}
	free(s->pieces);
	s->pieces = NULL;
}

bool vhd_space_test(const struct vhd_space *s, uint64_t unit)
{
	CHECK(unit < s->units);
	const uint64_t *piece = s->pieces[unit / VHD_SPACE_PIECE_UNITS];
	uint64_t in = unit % VHD_SPACE_PIECE_UNITS;

	return piece != NULL && (piece[in / 64] >> (in % 64) & 1) != 0;
}

static int claim_one(struct vhd_space *s, uint64_t unit, bool *ret_taken)
{
	uint64_t **piece = &s->pieces[unit / VHD_SPACE_PIECE_UNITS];
	uint64_t in = unit % VHD_SPACE_PIECE_UNITS, bit = UINT64_C(1) << (in % 64);

	if (*piece == NULL) {
		*piece = calloc(VHD_SPACE_PIECE_UNITS / 64, sizeof(**piece));
		if (*piece == NULL) {
			return -ENOMEM;
		}
	}
	*ret_taken = ((*piece)[in / 64] & bit) != 0;
	(*piece)[in / 64] |= bit;
	return 0;
}

int vhd_space_claim(struct vhd_space *s, uint64_t first, uint64_t count, uint64_t *ret_taken)
{
	CHECK(first <= s->units && count <= s->units - first);
	*ret_taken = UINT64_MAX;
	for (uint64_t unit = first; unit < first + count; unit++) {
		bool taken;
		int r = claim_one(s, unit, &taken);

		if (r != 0) {
			return r;
		}
		*ret_taken = taken && *ret_taken == UINT64_MAX ? unit : *ret_taken;
	}
	return 0;
}
