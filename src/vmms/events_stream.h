/* SPDX-License-Identifier: Apache-2.0 */
/* GET /events: what happens, as server-sent events. */
#ifndef VMMS_EVENTS_STREAM_H
#define VMMS_EVENTS_STREAM_H

#include "api.h"

/* Ends all streams: rights have changed, and clients come again with the number of the last event they have seen. */
void events_streams_end(struct api *a);

#endif
