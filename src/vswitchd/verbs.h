/* SPDX-License-Identifier: Apache-2.0 */
/* Inside verbs.c and verbs_port.c. Each verb returns 0 or -errno with a sentence in the request. */
#ifndef VSWITCHD_VERBS_H
#define VSWITCHD_VERBS_H

#include "daemon.h"

__attribute__((format(printf, 3, 4))) int verbs_fail(struct request *q, int code, const char *fmt,
						     ...);
/* What the request names as "switch", and as @key a port of it. */
int verbs_switch(struct request *q, struct sw **ret);
int verbs_port(struct request *q, struct sw *s, const char *key, struct port **ret);

int verbs_plug(struct request *q);
int verbs_change(struct request *q);
int verbs_mirror(struct request *q);

#endif
