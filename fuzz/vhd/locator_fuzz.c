// SPDX-License-Identifier: Apache-2.0
/* A parent locator of a VHDX: read, written again with what was read, and turned into places to look at. */
#include <stdlib.h>

#include "lib/check.h"
#include "locator.h"
#include "test/input.h"
#include "vhdx.h"

/* Places are absolute paths, and there is an end of them. */
static void look_for_places(const struct vhd_locator *l)
{
	char place[VHD_PATH_BYTES];

	for (unsigned i = 0; i < VHD_LOCATOR_PLACES; i++) {
		CHECK(!vhd_locator_place(l, "/a/folder", i, place) ||
		      (place[0] == '/' && strnlen(place, sizeof(place)) < sizeof(place)));
	}
}

/* What was read and can be written says the same when it is read again. */
static void write_again(const struct vhd_locator *l, const uint8_t *item, size_t bytes)
{
	struct vhd_locator *back = malloc(sizeof(*back));
	struct vhd_error error;
	uint8_t *made;
	size_t made_bytes;

	CHECK(back != NULL);
	if (vhdx_locator_build(l, item, bytes, &made, &made_bytes) == 0) {
		int r = vhdx_locator_parse(made, made_bytes, "made", back, &error);

		CHECK(r == 0 && guid_equal(&back->linkage, &l->linkage) &&
		      guid_equal(&back->linkage2, &l->linkage2) &&
		      strcmp(back->relative, l->relative) == 0 &&
		      strcmp(back->absolute, l->absolute) == 0 &&
		      strcmp(back->volume, l->volume) == 0);
		free(made);
	}
	free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct vhd_locator *l = calloc(1, sizeof(*l));
	struct vhd_error error;

	CHECK(l != NULL);
	if (vhdx_locator_parse(data, bytes, "fuzz", l, &error) == 0) {
		look_for_places(l);
		write_again(l, data, bytes);
	}
	/* VHD names its parent in other places, with other bytes. */
	struct input in = {data, bytes};

	input_take(&in, l->relative, min_u64(bytes / 4, sizeof(l->relative) - 1));
	input_take(&in, l->absolute, min_u64(bytes / 4, sizeof(l->absolute) - 1));
	input_take(&in, l->name, min_u64(bytes / 4, sizeof(l->name) - 1));
	look_for_places(l);
	free(l);
	return 0;
}
