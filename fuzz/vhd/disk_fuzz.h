/* SPDX-License-Identifier: Apache-2.0 */
/* What every target with a damaged disk does. */
#ifndef FUZZ_VHD_DISK_FUZZ_H
#define FUZZ_VHD_DISK_FUZZ_H

#include "hostile.h"
#include "lib/check.h"

/*
 * Looks at it, uses it. What was without errors opens, and is without errors afterwards. Repair leaves nothing that could be repaired.
 */
static inline void disk_fuzz(const struct hostile_format *format, const uint8_t *data, size_t bytes)
{
	struct input in = {data, bytes}, again;
	struct vhd_testing *t = hostile_make(format, &in);
	struct hostile_verdict v = hostile_check(t, false);
	bool clean = v.status == 0 && v.errors == 0 && v.repairable == 0;

	again = in;
	int r = hostile_use(t, false, &again);

	CHECK(r == 0 || !clean);
	r = hostile_use(t, true, &in);
	CHECK(r == 0 || !clean);
	v = hostile_check(t, false);
	CHECK((v.status == 0 && v.errors == 0) || !clean);
	(void)hostile_check(t, true);
	v = hostile_check(t, false);
	CHECK(v.status != 0 || v.repairable == 0);
	(void)hostile_use(t, false, &in);
	vhd_testing_destroy(t);
}

/* Repairs it before anybody has opened it. */
static inline void repair_fuzz(const struct hostile_format *format, const uint8_t *data,
			       size_t bytes)
{
	struct input in = {data, bytes};
	struct vhd_testing *t = hostile_make(format, &in);
	struct hostile_verdict v = hostile_check(t, true);
	unsigned errors = v.errors;
	int status = v.status;

	v = hostile_check(t, false);
	CHECK(v.status != 0 ||
	      (v.repairable == 0 && (v.errors == 0 || errors != 0 || status != 0)));
	int r = hostile_use(t, true, &in);

	CHECK(r == 0 || v.status != 0 || v.errors != 0);
	vhd_testing_destroy(t);
}

#endif
