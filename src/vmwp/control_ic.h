/* SPDX-License-Identifier: Apache-2.0 */
/* Inside control_ic.c and control_copy.c. */
#ifndef VMWP_CONTROL_IC_H
#define VMWP_CONTROL_IC_H

#include "vsp/ic.h"

struct connection;

/* The guest's answer goes to the asker. */
void control_ic_answered(struct connection *c, enum vsp_ic_result result, uint32_t status);

#endif
