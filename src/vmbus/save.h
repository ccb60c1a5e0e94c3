/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saved state of a bus: a record BUS with the connection, then runs within it: DEVICE (with its CHANNELs, with their GPADLs), and MESSAGE for
 * what waits to be posted.
 */
#ifndef VMBUS_SAVE_H
#define VMBUS_SAVE_H

#include "lib/state.h"

#define SAVE_BUS STATE_TAG('V', 'M', 'B', 'S')
#define SAVE_CONNECTION STATE_TAG('C', 'O', 'N', 'N')
#define SAVE_DEVICE STATE_TAG('D', 'E', 'V', 'I')
#define SAVE_CHANNEL STATE_TAG('C', 'H', 'A', 'N')
#define SAVE_RING STATE_TAG('R', 'I', 'N', 'G')
#define SAVE_GPADL STATE_TAG('G', 'P', 'A', 'D')
#define SAVE_MESSAGE STATE_TAG('M', 'E', 'S', 'S')
#define SAVE_VERSION 1u

/* Of a channel. */
#define SAVE_OFFERED 0x1u
#define SAVE_REVOKED 0x2u
#define SAVE_OPEN 0x4u
#define SAVE_RESERVED 0x8u
#define SAVE_CHANNEL_FLAGS 0xfu

/* Of a ring. */
#define SAVE_BROKEN 0x1u
#define SAVE_MASKED 0x2u
#define SAVE_PENDING 0x4u
#define SAVE_SEALED 0x8u
#define SAVE_RING_FLAGS 0xfu

/* Of a GPADL. */
#define SAVE_COMPLETE 0x1u
#define SAVE_TEARDOWN 0x2u
#define SAVE_DROPPED 0x4u
#define SAVE_GPADL_FLAGS 0x7u

#endif
