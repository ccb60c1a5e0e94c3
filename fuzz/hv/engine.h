/* SPDX-License-Identifier: Apache-2.0 */
/* What the hypervisor's fuzz targets share: an engine without instructions, and the pages of the root. */
#ifndef FUZZ_HV_ENGINE_H
#define FUZZ_HV_ENGINE_H

#include "hv/engine.h"
#include "hv/hv.h"

struct fuzz_world {
	uint64_t now;
	struct hv_engine_vp *newest;
	struct hv_engine_vp *vp[128]; /* of the newest partition */
	struct hv_vp *running;
	unsigned runs; /* of this dispatch */
	bool queued;
	struct hv_exit exit; /* what the guest does next */
};

extern const struct hv_engine_ops fuzz_engine;
void fuzz_reg_set(struct hv_engine_vp *vp, uint32_t name, uint64_t lo, uint64_t hi);

#endif
