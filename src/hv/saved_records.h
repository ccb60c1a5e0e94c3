/* SPDX-License-Identifier: Apache-2.0 */
/* The records of a saved partition: what save.c writes and restore.c reads. A partition's first, then its VPs' with the VP's own inside. */
#ifndef HV_SAVED_RECORDS_H
#define HV_SAVED_RECORDS_H

#include "lib/state.h"

#define TAG_PARTITION STATE_TAG('P', 'A', 'R', 'T')
#define TAG_APIC_HZ STATE_TAG('A', 'P', 'H', 'Z')
#define TAG_DEADLINE STATE_TAG('T', 'S', 'C', 'D')
#define TAG_VP STATE_TAG('V', 'P', ' ', ' ')
#define TAG_RUN STATE_TAG('R', 'U', 'N', ' ')
#define TAG_REGISTERS STATE_TAG('R', 'E', 'G', 'S')
#define TAG_MSRS STATE_TAG('M', 'S', 'R', 'S')
#define TAG_ENGINE STATE_TAG('E', 'N', 'G', 'N')
#define TAG_APIC STATE_TAG('A', 'P', 'I', 'C')
#define TAG_SYNIC STATE_TAG('S', 'Y', 'N', 'C')
#define TAG_TIMERS STATE_TAG('T', 'I', 'M', 'R')
#define TAG_QUEUE STATE_TAG('M', 'S', 'G', 'Q')
#define TAG_PAGES STATE_TAG('P', 'A', 'G', 'E')

#endif
