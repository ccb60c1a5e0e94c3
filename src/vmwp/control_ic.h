/* SPDX-License-Identifier: Apache-2.0 */
/* Inside control_ic.c, control_ip.c and control_copy.c. */
#ifndef VMWP_CONTROL_IC_H
#define VMWP_CONTROL_IC_H

#include "vsp/ic.h"

struct connection;

/* The guest's answer goes to the asker. */
void control_ic_answered(struct connection *c, enum vsp_ic_result result, uint32_t status);
/* The answer's next line, of two texts of the guest's: control characters, '%' and what would end the key become %XX. */
void control_ic_say(struct connection *c, const char *key, const char *value);

#endif
