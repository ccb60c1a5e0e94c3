// SPDX-License-Identifier: Apache-2.0
/* One status for each listener: SCSI's for the class driver, the SRB's for the port driver, NT's for the channel. */
#include "lib/bits.h"
#include "protocol.h"
#include "storage/scsi.h"

struct nt_row {
	uint8_t srb_status;
	uint32_t nt_status;
};

/* Spec: OpenVMM storvsp; Linux only logs it. */
static const struct nt_row nt_rows[] = {
	{SRB_STATUS_SUCCESS, STATUS_SUCCESS},
	{SRB_STATUS_ABORTED, STATUS_CANCELLED},
	{SRB_STATUS_BUSY, STATUS_DEVICE_BUSY},
	{SRB_STATUS_NO_DEVICE, STATUS_DEVICE_DOES_NOT_EXIST},
	{SRB_STATUS_TIMEOUT, STATUS_IO_TIMEOUT},
	{SRB_STATUS_SELECTION_TIMEOUT, STATUS_DEVICE_NOT_CONNECTED},
	{SRB_STATUS_COMMAND_TIMEOUT, STATUS_IO_TIMEOUT},
	{SRB_STATUS_NO_HBA, STATUS_DEVICE_DOES_NOT_EXIST},
	{SRB_STATUS_DATA_OVERRUN, STATUS_BUFFER_OVERFLOW},
	{SRB_STATUS_BAD_SRB_BLOCK_LENGTH, STATUS_INVALID_DEVICE_REQUEST},
	{SRB_STATUS_REQUEST_FLUSHED, STATUS_UNSUCCESSFUL},
	{SRB_STATUS_INVALID_LUN, STATUS_DEVICE_DOES_NOT_EXIST},
	{SRB_STATUS_INVALID_TARGET_ID, STATUS_DEVICE_DOES_NOT_EXIST},
	{SRB_STATUS_BAD_FUNCTION, STATUS_INVALID_DEVICE_REQUEST},
};

uint32_t vstor_nt_status(uint8_t srb_status)
{
	for (size_t i = 0; i < ARRAY_LEN(nt_rows); i++) {
		if (nt_rows[i].srb_status == SRB_STATUS_CODE(srb_status)) {
			return nt_rows[i].nt_status;
		}
	}
	return STATUS_IO_DEVICE_ERROR;
}

/*
 * A reservation conflict is an error without sense: Linux asks for the SCSI status then. BUSY makes every guest try again.
 */
uint8_t vstor_srb_status(uint8_t scsi_status)
{
	switch (scsi_status) {
	case SCSI_GOOD:
		return SRB_STATUS_SUCCESS;
	case SCSI_BUSY:
		return SRB_STATUS_BUSY;
	case SCSI_TASK_ABORTED:
		return SRB_STATUS_ABORTED;
	default:
		return SRB_STATUS_ERROR;
	}
}
