/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the saved state. */
#ifndef NET_SAVE_H
#define NET_SAVE_H

#include "adapter.h"

#define TAG_NET STATE_TAG('V', 'N', 'I', 'C')
#define TAG_SETTINGS STATE_TAG('S', 'E', 'T', 'S')
#define TAG_REPLY STATE_TAG('R', 'P', 'L', 'Y') /* an answer that waits, in order */
#define TAG_QUEUE STATE_TAG('Q', 'U', 'E', 'U')
#define TAG_WORK STATE_TAG('W', 'O', 'R', 'K') /* within QUEUE: the packet in work */
#define TAG_FILLED                                                                                 \
	STATE_TAG('F', 'I', 'L', 'L') /* within QUEUE: a packet with frames, not sent yet */
#define TAG_LENT STATE_TAG('L', 'E', 'N', 'T') /* within QUEUE: a packet that the guest has */
#define NET_SAVE_VERSION 1u

#define NET_RESTORE_FREE (NET_SUBALLOC_NONE - 1) /* in pool.next meanwhile: in no chain */
/* A QUEUE record. False: impossible. */
bool net_restore_queue(struct vsp_net *n, struct state_reader *r);

#endif
