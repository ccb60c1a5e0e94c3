// SPDX-License-Identifier: Apache-2.0
/* SWITCH[,option...] as of --net: what is taken must mean something to the switch process, and be written as JSON and read again. */
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "vswitchd/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check_meaning(json_t *o)
{
	struct vswitch_port_config config = {.name = "x"};
	struct vswitch_acl *acls = NULL;
	char error[1200];

	if (!options_config(o, &config, &acls, error, sizeof(error)) ||
	    config.vlan.vid >= NET_VIDS || config.vlan.secondary >= NET_VIDS ||
	    config.weight > 100 || config.mtu > NET_MTU_MAX) {
		abort();
	}
	free(acls);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	char *text = malloc(bytes + 1), error[1200];

	memcpy(text, data, bytes);
	text[bytes] = '\0';
	json_t *o = vswitch_client_parse(text, error, sizeof(error));

	if (o != NULL) {
		check_meaning(o);
	}
	json_decref(o);
	free(text);
	return 0;
}
