/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interface between the hypervisor and its partitions: constants and layouts, with the spelling of the
 * Hypervisor Top Level Functional Specification. Everything is little endian; layouts have no implicit padding.
 */
#ifndef ABI_HV_H
#define ABI_HV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HV_PAGE_SIZE 4096u
#define HV_PAGE_SHIFT 12

/* ---- Status codes (Spec: TLFS appendix B) ---- */
#define HV_STATUS_SUCCESS 0x0000
#define HV_STATUS_INVALID_HYPERCALL_CODE 0x0002
#define HV_STATUS_INVALID_HYPERCALL_INPUT 0x0003
#define HV_STATUS_INVALID_ALIGNMENT 0x0004
#define HV_STATUS_INVALID_PARAMETER 0x0005
#define HV_STATUS_ACCESS_DENIED 0x0006
#define HV_STATUS_INVALID_PARTITION_STATE 0x0007
#define HV_STATUS_OPERATION_DENIED 0x0008
#define HV_STATUS_UNKNOWN_PROPERTY 0x0009
#define HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE 0x000A
#define HV_STATUS_INSUFFICIENT_MEMORY 0x000B
#define HV_STATUS_PARTITION_TOO_DEEP 0x000C
#define HV_STATUS_INVALID_PARTITION_ID 0x000D
#define HV_STATUS_INVALID_VP_INDEX 0x000E
#define HV_STATUS_NOT_FOUND 0x0010
#define HV_STATUS_INVALID_PORT_ID 0x0011
#define HV_STATUS_INVALID_CONNECTION_ID 0x0012
#define HV_STATUS_INSUFFICIENT_BUFFERS 0x0013
#define HV_STATUS_NOT_ACKNOWLEDGED 0x0014
#define HV_STATUS_INVALID_VP_STATE 0x0015
#define HV_STATUS_ACKNOWLEDGED 0x0016
#define HV_STATUS_INVALID_SAVE_RESTORE_STATE 0x0017
#define HV_STATUS_INVALID_SYNIC_STATE 0x0018
#define HV_STATUS_OBJECT_IN_USE 0x0019
#define HV_STATUS_INVALID_PROXIMITY_DOMAIN_INFO 0x001A
#define HV_STATUS_NO_DATA 0x001B
#define HV_STATUS_INACTIVE 0x001C
#define HV_STATUS_NO_RESOURCES 0x001D
#define HV_STATUS_FEATURE_UNAVAILABLE 0x001E
#define HV_STATUS_PARTIAL_PACKET 0x001F
#define HV_STATUS_PROCESSOR_FEATURE_NOT_SUPPORTED 0x0020
#define HV_STATUS_INSUFFICIENT_BUFFER 0x0033
#define HV_STATUS_INVALID_LP_INDEX 0x0041
#define HV_STATUS_INVALID_REGISTER_VALUE 0x0050
#define HV_STATUS_INVALID_VTL_STATE 0x0051
#define HV_STATUS_OPERATION_FAILED 0x0071
#define HV_STATUS_TIMEOUT 0x0078
#define HV_STATUS_UNKNOWN_REGISTER_NAME 0x0087

/* ---- Special identifiers ---- */
#define HV_PARTITION_ID_INVALID UINT64_C(0)
#define HV_PARTITION_ID_SELF UINT64_MAX
#define HV_VP_INDEX_SELF 0xFFFFFFFEu
#define HV_ANY_VP 0xFFFFFFFFu
#define HV_MAXIMUM_PROCESSORS 2048u /* by this hypervisor */

/* ---- CPUID (Spec: TLFS 2) ---- */
#define HV_CPUID_FUNCTION_VENDOR_AND_MAX 0x40000000u
#define HV_CPUID_FUNCTION_INTERFACE 0x40000001u
#define HV_CPUID_FUNCTION_VERSION 0x40000002u
#define HV_CPUID_FUNCTION_FEATURES 0x40000003u
#define HV_CPUID_FUNCTION_ENLIGHTENMENTS 0x40000004u
#define HV_CPUID_FUNCTION_LIMITS 0x40000005u
#define HV_CPUID_FUNCTION_HARDWARE 0x40000006u
#define HV_CPUID_INTERFACE_SIGNATURE 0x31237648u /* "Hv#1" */

/* HV_PARTITION_PRIVILEGE_MASK: low half is CPUID 0x40000003 EAX, high half EBX. */
#define HV_PRIVILEGE_AccessVpRunTimeReg (UINT64_C(1) << 0)
#define HV_PRIVILEGE_AccessPartitionReferenceCounter (UINT64_C(1) << 1)
#define HV_PRIVILEGE_AccessSynicRegs (UINT64_C(1) << 2)
#define HV_PRIVILEGE_AccessSyntheticTimerRegs (UINT64_C(1) << 3)
#define HV_PRIVILEGE_AccessIntrCtrlRegs (UINT64_C(1) << 4)
#define HV_PRIVILEGE_AccessHypercallMsrs (UINT64_C(1) << 5)
#define HV_PRIVILEGE_AccessVpIndex (UINT64_C(1) << 6)
#define HV_PRIVILEGE_AccessResetReg (UINT64_C(1) << 7)
#define HV_PRIVILEGE_AccessStatsReg (UINT64_C(1) << 8)
#define HV_PRIVILEGE_AccessPartitionReferenceTsc (UINT64_C(1) << 9)
#define HV_PRIVILEGE_AccessGuestIdleReg (UINT64_C(1) << 10)
#define HV_PRIVILEGE_AccessFrequencyRegs (UINT64_C(1) << 11)
#define HV_PRIVILEGE_AccessDebugRegs (UINT64_C(1) << 12)
#define HV_PRIVILEGE_AccessReenlightenmentControls (UINT64_C(1) << 13)
#define HV_PRIVILEGE_AccessRootSchedulerReg (UINT64_C(1) << 14)
#define HV_PRIVILEGE_AccessTscInvariantControls (UINT64_C(1) << 15)
#define HV_PRIVILEGE_CreatePartitions (UINT64_C(1) << 32)
#define HV_PRIVILEGE_AccessPartitionId (UINT64_C(1) << 33)
#define HV_PRIVILEGE_AccessMemoryPool (UINT64_C(1) << 34)
#define HV_PRIVILEGE_AdjustMessageBuffers (UINT64_C(1) << 35)
#define HV_PRIVILEGE_PostMessages (UINT64_C(1) << 36)
#define HV_PRIVILEGE_SignalEvents (UINT64_C(1) << 37)
#define HV_PRIVILEGE_CreatePort (UINT64_C(1) << 38)
#define HV_PRIVILEGE_ConnectPort (UINT64_C(1) << 39)
#define HV_PRIVILEGE_AccessStats (UINT64_C(1) << 40)
#define HV_PRIVILEGE_Debugging (UINT64_C(1) << 43)
#define HV_PRIVILEGE_CpuManagement (UINT64_C(1) << 44)
#define HV_PRIVILEGE_AccessVSM (UINT64_C(1) << 48)
#define HV_PRIVILEGE_AccessVpRegisters (UINT64_C(1) << 49)
#define HV_PRIVILEGE_FastHypercallOutput (UINT64_C(1) << 51)
#define HV_PRIVILEGE_EnableExtendedHypercalls (UINT64_C(1) << 52)
#define HV_PRIVILEGE_StartVirtualProcessor (UINT64_C(1) << 53)
#define HV_PRIVILEGE_Isolation (UINT64_C(1) << 54)

/* CPUID 0x40000003 EDX */
#define HV_FEATURE_FastHypercallInputAvailable (1u << 4)
#define HV_FEATURE_VirtualGuestIdleStateAvailable (1u << 5)
#define HV_FEATURE_FrequencyRegsAvailable (1u << 8)
#define HV_FEATURE_GuestCrashRegsAvailable (1u << 10)
#define HV_FEATURE_FastHypercallOutputAvailable (1u << 15)
#define HV_FEATURE_SintPollingModeAvailable (1u << 17)
#define HV_FEATURE_HypercallMsrLockAvailable (1u << 18)
#define HV_FEATURE_DirectSyntheticTimers (1u << 19)

/* CPUID 0x40000004 EAX */
#define HV_HINT_HypercallForAddressSpaceSwitch (1u << 0)
#define HV_HINT_HypercallForLocalFlush (1u << 1)
#define HV_HINT_HypercallForRemoteFlush (1u << 2)
#define HV_HINT_ApicAccessMsrs (1u << 3)
#define HV_HINT_SystemResetMsr (1u << 4)
#define HV_HINT_RelaxedTiming (1u << 5)
#define HV_HINT_DeprecateAutoEoi (1u << 9)
#define HV_HINT_SyntheticClusterIpi (1u << 10)
#define HV_HINT_ExProcessorMasks (1u << 11)

/* ---- Synthetic MSRs (Spec: TLFS appendix F) ---- */
#define HV_X64_MSR_GUEST_OS_ID 0x40000000u
#define HV_X64_MSR_HYPERCALL 0x40000001u
#define HV_X64_MSR_VP_INDEX 0x40000002u
#define HV_X64_MSR_RESET 0x40000003u
#define HV_X64_MSR_VP_RUNTIME 0x40000010u
#define HV_X64_MSR_TIME_REF_COUNT 0x40000020u
#define HV_X64_MSR_REFERENCE_TSC 0x40000021u
#define HV_X64_MSR_TSC_FREQUENCY 0x40000022u
#define HV_X64_MSR_APIC_FREQUENCY 0x40000023u
#define HV_X64_MSR_EOI 0x40000070u
#define HV_X64_MSR_ICR 0x40000071u
#define HV_X64_MSR_TPR 0x40000072u
#define HV_X64_MSR_VP_ASSIST_PAGE 0x40000073u
#define HV_X64_MSR_SCONTROL 0x40000080u
#define HV_X64_MSR_SVERSION 0x40000081u
#define HV_X64_MSR_SIEFP 0x40000082u
#define HV_X64_MSR_SIMP 0x40000083u
#define HV_X64_MSR_EOM 0x40000084u
#define HV_X64_MSR_SINT0 0x40000090u
#define HV_X64_MSR_SINT15 0x4000009Fu
#define HV_X64_MSR_STIMER0_CONFIG 0x400000B0u
#define HV_X64_MSR_STIMER0_COUNT 0x400000B1u
#define HV_X64_MSR_STIMER1_CONFIG 0x400000B2u
#define HV_X64_MSR_STIMER1_COUNT 0x400000B3u
#define HV_X64_MSR_STIMER2_CONFIG 0x400000B4u
#define HV_X64_MSR_STIMER2_COUNT 0x400000B5u
#define HV_X64_MSR_STIMER3_CONFIG 0x400000B6u
#define HV_X64_MSR_STIMER3_COUNT 0x400000B7u
#define HV_X64_MSR_GUEST_IDLE 0x400000F0u
#define HV_X64_MSR_CRASH_P0 0x40000100u
#define HV_X64_MSR_CRASH_P1 0x40000101u
#define HV_X64_MSR_CRASH_P2 0x40000102u
#define HV_X64_MSR_CRASH_P3 0x40000103u
#define HV_X64_MSR_CRASH_P4 0x40000104u
#define HV_X64_MSR_CRASH_CTL 0x40000105u
#define HV_X64_MSR_REENLIGHTENMENT_CONTROL 0x40000106u
#define HV_X64_MSR_TSC_EMULATION_CONTROL 0x40000107u
#define HV_X64_MSR_TSC_EMULATION_STATUS 0x40000108u
#define HV_X64_MSR_TSC_INVARIANT_CONTROL 0x40000118u
#define HV_X64_MSR_SYNTHETIC_FIRST 0x40000000u
#define HV_X64_MSR_SYNTHETIC_LAST 0x4000FFFFu

/* The common shape of MSRs that place an overlay page. */
#define HV_MSR_PAGE_ENABLE UINT64_C(0x1)
#define HV_X64_MSR_HYPERCALL_LOCKED UINT64_C(0x2)

#define HV_SYNIC_SINT_COUNT 16u
#define HV_SYNIC_VERSION 1u
#define HV_SCONTROL_ENABLE UINT64_C(0x1)
#define HV_SINT_VECTOR UINT64_C(0xFF)
#define HV_SINT_MASKED (UINT64_C(1) << 16)
#define HV_SINT_AUTO_EOI (UINT64_C(1) << 17)
#define HV_SINT_POLLING (UINT64_C(1) << 18)
#define HV_SINT_PROXY (UINT64_C(1) << 20)

#define HV_SYNIC_STIMER_COUNT 4u
#define HV_STIMER_ENABLED (UINT64_C(1) << 0)
#define HV_STIMER_PERIODIC (UINT64_C(1) << 1)
#define HV_STIMER_LAZY (UINT64_C(1) << 2)
#define HV_STIMER_AUTO_ENABLE (UINT64_C(1) << 3)
#define HV_STIMER_VECTOR_SHIFT 4
#define HV_STIMER_DIRECT_MODE (UINT64_C(1) << 12)
#define HV_STIMER_SINT_SHIFT 16
#define HV_STIMER_CONFIG_BITS UINT64_C(0xF1FFF)

#define HV_CRASH_CTL_NOTIFY (UINT64_C(1) << 63)
#define HV_CRASH_CTL_MESSAGE (UINT64_C(1) << 62)

/* ---- Hypercall control word and result (Spec: TLFS 3.7, 3.8) ---- */
#define HV_HYPERCALL_CODE UINT64_C(0xFFFF)
#define HV_HYPERCALL_FAST (UINT64_C(1) << 16)
#define HV_HYPERCALL_VARHEAD_SHIFT 17
#define HV_HYPERCALL_VARHEAD_BITS 10
#define HV_HYPERCALL_NESTED (UINT64_C(1) << 31)
#define HV_HYPERCALL_REP_COUNT_SHIFT 32
#define HV_HYPERCALL_REP_START_SHIFT 48
#define HV_HYPERCALL_REP_BITS 12
#define HV_HYPERCALL_RSVDZ (UINT64_C(0xF) << 27 | UINT64_C(0xF) << 44 | UINT64_C(0xF) << 60)

static inline uint64_t hv_hypercall_control(unsigned code, unsigned rep_count)
{
	return (uint64_t)code | (uint64_t)rep_count << HV_HYPERCALL_REP_COUNT_SHIFT;
}

static inline uint16_t hv_result_status(uint64_t result)
{
	return (uint16_t)result;
}

static inline unsigned hv_result_reps(uint64_t result)
{
	return (unsigned)(result >> 32) & 0xFFF;
}

enum hv_call_code {
	HvCallSwitchVirtualAddressSpace = 0x0001,
	HvCallFlushVirtualAddressSpace = 0x0002,
	HvCallFlushVirtualAddressList = 0x0003,
	HvCallNotifyLongSpinWait = 0x0008,
	HvCallSendSyntheticClusterIpi = 0x000B,
	HvCallFlushVirtualAddressSpaceEx = 0x0013,
	HvCallFlushVirtualAddressListEx = 0x0014,
	HvCallSendSyntheticClusterIpiEx = 0x0015,
	HvCallCreatePartition = 0x0040,
	HvCallInitializePartition = 0x0041,
	HvCallFinalizePartition = 0x0042,
	HvCallDeletePartition = 0x0043,
	HvCallGetPartitionProperty = 0x0044,
	HvCallSetPartitionProperty = 0x0045,
	HvCallGetPartitionId = 0x0046,
	HvCallGetNextChildPartition = 0x0047,
	HvCallDepositMemory = 0x0048,
	HvCallWithdrawMemory = 0x0049,
	HvCallGetMemoryBalance = 0x004A,
	HvCallMapGpaPages = 0x004B,
	HvCallUnmapGpaPages = 0x004C,
	HvCallInstallIntercept = 0x004D,
	HvCallCreateVp = 0x004E,
	HvCallDeleteVp = 0x004F,
	HvCallGetVpRegisters = 0x0050,
	HvCallSetVpRegisters = 0x0051,
	HvCallTranslateVirtualAddress = 0x0052,
	HvCallReadGpa = 0x0053,
	HvCallWriteGpa = 0x0054,
	HvCallDeletePort = 0x0058,
	HvCallDisconnectPort = 0x005B,
	HvCallPostMessage = 0x005C,
	HvCallSignalEvent = 0x005D,
	HvCallModifySparseGpaPages = 0x0090,
	HvCallAssertVirtualInterrupt = 0x0094,
	HvCallCreatePort = 0x0095,
	HvCallConnectPort = 0x0096,
	HvCallStartVirtualProcessor = 0x0099,
	HvCallGetVpIndexFromApicId = 0x009A,
	HvCallSignalEventDirect = 0x00C0,
	HvCallPostMessageDirect = 0x00C1,
	HvCallDispatchVp = 0x00C2,
	HvCallGetGpaPagesAccessState = 0x00C9,
};

/* Flags of the flush calls (Spec: TLFS 8.8 HV_FLUSH_FLAGS). */
#define HV_FLUSH_ALL_PROCESSORS UINT64_C(0x1)
#define HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES UINT64_C(0x2)
#define HV_FLUSH_NON_GLOBAL_MAPPINGS_ONLY UINT64_C(0x4)
#define HV_FLUSH_USE_EXTENDED_RANGE_FORMAT UINT64_C(0x8)

/* HV_VP_SET.Format */
#define HV_GENERIC_SET_SPARSE_4K UINT64_C(0)
#define HV_GENERIC_SET_ALL UINT64_C(1)

/* HV_MAP_GPA_FLAGS */
#define HV_MAP_GPA_READABLE 0x1u
#define HV_MAP_GPA_WRITABLE 0x2u
#define HV_MAP_GPA_KERNEL_EXECUTABLE 0x4u
#define HV_MAP_GPA_USER_EXECUTABLE 0x8u

/* ---- Partition properties (HV_PARTITION_PROPERTY_CODE) ---- */
#define HvPartitionPropertyPrivilegeFlags 0x00010000u
#define HvPartitionPropertySyntheticProcFeatures 0x00010001u
#define HvPartitionPropertySuspend 0x00020000u
#define HvPartitionPropertyCpuReserve 0x00020001u
#define HvPartitionPropertyCpuCap 0x00020002u
#define HvPartitionPropertyCpuWeight 0x00020003u
#define HvPartitionPropertyCpuGroupId 0x00020004u
#define HvPartitionPropertyTimeFreeze 0x00030003u
#define HvPartitionPropertyReferenceTime 0x00030005u
#define HvPartitionPropertyVirtualTlbPageCount 0x00050000u
#define HvPartitionPropertyProcessorsPerSocket 0x00050003u
#define HvPartitionPropertyGpaPageAccessTracking 0x00050005u
#define HvPartitionPropertyUnimplementedMsrAction 0x00050017u
#define HvPartitionPropertyProcessorVendor 0x00060000u
#define HvPartitionPropertyPhysicalAddressWidth 0x00060006u
#define HvPartitionPropertyProcessorClockFrequency 0x00060009u
#define HvPartitionPropertyGuestOsId 0x00070000u

#define HV_UNIMPLEMENTED_MSR_ACTION_FAULT 0u
#define HV_UNIMPLEMENTED_MSR_ACTION_IGNORE_WRITE_READ_ZERO 1u

/* ---- Intercepts (HV_INTERCEPT_TYPE, HV_INTERCEPT_ACCESS_MASK) ---- */
enum hv_intercept_type {
	HvInterceptTypeX64IoPort = 0,
	HvInterceptTypeX64Msr = 1,
	HvInterceptTypeX64Cpuid = 2,
	HvInterceptTypeException = 3,
	HvInterceptTypeMmio = 5,
	HvInterceptTypeX64GlobalCpuid = 6,
	HvInterceptTypeHypercall = 8,
	HvInterceptTypeX64MsrIndex = 0xC,
	HvInterceptTypeUnknownSynicConnection = 0xD,
	HvInterceptTypeX64ApicEoi = 0xE,
	HvInterceptTypeX64IoPortRange = 0x11,
};
#define HV_INTERCEPT_ACCESS_MASK_NONE 0u
#define HV_INTERCEPT_ACCESS_MASK_READ 1u
#define HV_INTERCEPT_ACCESS_MASK_WRITE 2u
#define HV_INTERCEPT_ACCESS_MASK_EXECUTE 4u
#define HV_INTERCEPT_ACCESS_READ 0u
#define HV_INTERCEPT_ACCESS_WRITE 1u
#define HV_INTERCEPT_ACCESS_EXECUTE 2u

/* ---- Messages (Spec: TLFS 11.8) ---- */
enum hv_message_type {
	HvMessageTypeNone = 0x00000000,
	HvMessageTypeUnmappedGpa = (int)0x80000000,
	HvMessageTypeGpaIntercept = (int)0x80000001,
	HvMessageTimerExpired = (int)0x80000010,
	HvMessageTypeInvalidVpRegisterValue = (int)0x80000020,
	HvMessageTypeUnrecoverableException = (int)0x80000021,
	HvMessageTypeUnsupportedFeature = (int)0x80000022,
	HvMessageTypeHypercallIntercept = (int)0x80000050,
	HvMessageTypeX64IoPortIntercept = (int)0x80010000,
	HvMessageTypeMsrIntercept = (int)0x80010001,
	HvMessageTypeX64CpuidIntercept = (int)0x80010002,
	HvMessageTypeExceptionIntercept = (int)0x80010003,
	HvMessageTypeX64ApicEoi = (int)0x80010004,
	HvMessageTypeX64Halt = (int)0x80010007,
	HvMessageTypeX64InterruptionDeliverable = (int)0x80010008,
	HvMessageTypeX64SipiIntercept = (int)0x80010009,
};
#define HV_MESSAGE_SIZE 256u
#define HV_MESSAGE_PAYLOAD_BYTE_COUNT 240u
#define HV_MESSAGE_TYPE_HYPERVISOR_MASK 0x80000000u
#define HV_MESSAGE_FLAG_PENDING 0x1u

struct hv_message {
	uint32_t type; /* enum hv_message_type, or 1..0x7FFFFFFF from a partition */
	uint8_t payload_size;
	uint8_t flags;
	uint16_t reserved;
	uint64_t origin; /* sender partition, or port id in the low half */
	uint8_t payload[HV_MESSAGE_PAYLOAD_BYTE_COUNT];
};
_Static_assert(sizeof(struct hv_message) == HV_MESSAGE_SIZE, "hv_message");
_Static_assert(offsetof(struct hv_message, payload) == 16, "hv_message");

struct hv_timer_message_payload {
	uint32_t timer_index;
	uint32_t reserved;
	uint64_t expiration_time; /* 100 ns of reference time */
	uint64_t delivery_time;
};
_Static_assert(sizeof(struct hv_timer_message_payload) == 24, "hv_timer_message_payload");

/* HV_X64_SEGMENT_REGISTER; attributes as X86_SEG_* */
struct hv_x64_segment_register {
	uint64_t base;
	uint32_t limit;
	uint16_t selector;
	uint16_t attributes;
};
_Static_assert(sizeof(struct hv_x64_segment_register) == 16, "hv_x64_segment_register");

/* HV_X64_TABLE_REGISTER */
struct hv_x64_table_register {
	uint16_t pad[3];
	uint16_t limit;
	uint64_t base;
};
_Static_assert(sizeof(struct hv_x64_table_register) == 16, "hv_x64_table_register");

/* HV_X64_VP_EXECUTION_STATE */
#define HV_EXECUTION_STATE_CPL 0x0003u
#define HV_EXECUTION_STATE_CR0_PE 0x0004u
#define HV_EXECUTION_STATE_CR0_AM 0x0008u
#define HV_EXECUTION_STATE_EFER_LMA 0x0010u
#define HV_EXECUTION_STATE_DEBUG_ACTIVE 0x0020u
#define HV_EXECUTION_STATE_INTERRUPTION_PENDING 0x0040u
#define HV_EXECUTION_STATE_INTERRUPT_SHADOW 0x1000u

struct hv_x64_intercept_message_header {
	uint32_t vp_index;
	uint8_t instruction_length;    /* [3:0] length, [7:4] CR8 */
	uint8_t intercept_access_type; /* HV_INTERCEPT_ACCESS_* */
	uint16_t execution_state;
	struct hv_x64_segment_register cs;
	uint64_t rip;
	uint64_t rflags;
};
_Static_assert(sizeof(struct hv_x64_intercept_message_header) == 40, "intercept header");

#define HV_MEMORY_ACCESS_GVA_VALID 0x1u
#define HV_MEMORY_ACCESS_GVA_GPA_VALID 0x2u

/* HvMessageTypeUnmappedGpa, HvMessageTypeGpaIntercept */
struct hv_x64_memory_intercept_message {
	struct hv_x64_intercept_message_header header;
	uint32_t cache_type;
	uint8_t instruction_byte_count;
	uint8_t memory_access_info; /* HV_MEMORY_ACCESS_* */
	uint8_t tpr_priority;
	uint8_t reserved1;
	uint64_t gva;
	uint64_t gpa;
	uint8_t instruction_bytes[16];
	/* Decision: beyond the specified layout, the access itself, so that no one has to decode the instruction again. */
	uint64_t access_data; /* of a write */
	uint8_t access_bytes; /* 1..8; 0 for execute */
	uint8_t reserved2[7];
};
_Static_assert(sizeof(struct hv_x64_memory_intercept_message) == 96, "memory intercept");
_Static_assert(offsetof(struct hv_x64_memory_intercept_message, gpa) == 56, "memory intercept");

#define HV_IO_PORT_ACCESS_SIZE 0x07u
#define HV_IO_PORT_ACCESS_STRING 0x08u
#define HV_IO_PORT_ACCESS_REP 0x10u

/* HvMessageTypeX64IoPortIntercept. For a string access rax is the data of this one element, already loaded. */
struct hv_x64_io_port_intercept_message {
	struct hv_x64_intercept_message_header header;
	uint16_t port_number;
	uint8_t access_info; /* HV_IO_PORT_ACCESS_* */
	uint8_t instruction_byte_count;
	uint32_t reserved;
	uint64_t rax; /* of a write: the data, zero-extended */
	uint8_t instruction_bytes[16];
	struct hv_x64_segment_register ds;
	struct hv_x64_segment_register es;
	uint64_t rcx;
	uint64_t rsi;
	uint64_t rdi;
};
_Static_assert(sizeof(struct hv_x64_io_port_intercept_message) == 128, "port intercept");
_Static_assert(offsetof(struct hv_x64_io_port_intercept_message, rax) == 48, "port intercept");
_Static_assert(offsetof(struct hv_x64_io_port_intercept_message, rcx) == 104, "port intercept");

/* HvMessageTypeMsrIntercept */
struct hv_x64_msr_intercept_message {
	struct hv_x64_intercept_message_header header;
	uint32_t msr_number;
	uint32_t reserved;
	uint64_t rdx; /* of a write */
	uint64_t rax;
};
_Static_assert(sizeof(struct hv_x64_msr_intercept_message) == 64, "MSR intercept");

/* HvMessageTypeX64CpuidIntercept */
struct hv_x64_cpuid_intercept_message {
	struct hv_x64_intercept_message_header header;
	uint64_t rax;
	uint64_t rcx;
	uint64_t rdx;
	uint64_t rbx;
	uint64_t default_result_rax;
	uint64_t default_result_rcx;
	uint64_t default_result_rdx;
	uint64_t default_result_rbx;
};
_Static_assert(sizeof(struct hv_x64_cpuid_intercept_message) == 104, "CPUID intercept");

#define HV_EXCEPTION_ERROR_CODE_VALID 0x1u

/* HvMessageTypeExceptionIntercept, HvMessageTypeUnrecoverableException (header only) */
struct hv_x64_exception_intercept_message {
	struct hv_x64_intercept_message_header header;
	uint16_t exception_vector;
	uint8_t exception_info; /* HV_EXCEPTION_* */
	uint8_t instruction_byte_count;
	uint32_t error_code;
	uint64_t exception_parameter;
	uint64_t reserved;
	uint8_t instruction_bytes[16];
};
_Static_assert(sizeof(struct hv_x64_exception_intercept_message) == 80, "exception intercept");

/* HvMessageTypeX64ApicEoi */
struct hv_x64_apic_eoi_message {
	uint32_t vp_index;
	uint32_t interrupt_vector;
};

/* HvMessageTypeHypercallIntercept: the caller's registers; the parent decodes the calling convention. */
struct hv_x64_hypercall_intercept_message {
	struct hv_x64_intercept_message_header header;
	uint64_t rax;
	uint64_t rbx;
	uint64_t rcx;
	uint64_t rdx;
	uint64_t r8;
	uint64_t rsi;
	uint64_t rdi;
	uint64_t xmm[6][2];
	uint64_t flags; /* bit 0 isolated */
};
_Static_assert(sizeof(struct hv_x64_hypercall_intercept_message) == 200, "hypercall intercept");

/* ---- Hypercall inputs and outputs; memory layouts with natural alignment ---- */
struct hv_input_create_partition {
	uint64_t flags;
	uint64_t proximity_domain_info;
	uint32_t compatibility_version;
	uint32_t padding;
	uint64_t disabled_processor_features[2];
	uint64_t disabled_xsave_features;
	uint64_t isolation;
};
_Static_assert(sizeof(struct hv_input_create_partition) == 56, "create partition");

struct hv_input_partition_property {
	uint64_t partition_id;
	uint32_t property_code;
	uint32_t padding;
	uint64_t value; /* HvCallSetPartitionProperty only */
};

struct hv_input_vp {
	uint64_t partition_id;
	uint32_t vp_index;
	uint8_t target_vtl;
	uint8_t padding[3];
};
_Static_assert(sizeof(struct hv_input_vp) == 16, "input vp");

struct hv_input_create_vp {
	uint64_t partition_id;
	uint32_t vp_index;
	uint8_t padding[3];
	uint8_t subnode_type;
	uint64_t subnode_id;
	uint64_t proximity_domain_info;
	uint64_t flags;
};
_Static_assert(sizeof(struct hv_input_create_vp) == 40, "create vp");

struct hv_input_map_gpa {
	uint64_t target_partition_id;
	uint64_t target_gpa_base; /* page number */
	uint32_t map_flags;	  /* HV_MAP_GPA_*; unmap: 0 */
	uint32_t padding;
};
_Static_assert(sizeof(struct hv_input_map_gpa) == 24, "map gpa");

/* One byte of HV_GPA_PAGE_STATE_* for each page from @gpa_page on. */
struct hv_input_get_gpa_pages_access_state {
	uint64_t partition_id;
	uint64_t flags; /* HV_GPA_PAGE_CLEAR_* */
	uint64_t gpa_page;
};
#define HV_GPA_PAGE_CLEAR_ACCESSED UINT64_C(0x1)
#define HV_GPA_PAGE_CLEAR_DIRTY UINT64_C(0x4)
#define HV_GPA_PAGE_STATE_ACCESSED 0x1u
#define HV_GPA_PAGE_STATE_DIRTY 0x2u

struct hv_input_install_intercept {
	uint64_t partition_id;
	uint32_t access_type;	 /* HV_INTERCEPT_ACCESS_MASK_* */
	uint32_t intercept_type; /* enum hv_intercept_type */
	/* Port, MSR index, CPUID leaf, exception vector; port range: first [15:0], last [31:16]. */
	uint64_t parameter;
};
_Static_assert(sizeof(struct hv_input_install_intercept) == 24, "install intercept");

struct hv_register_assoc {
	uint32_t name;
	uint32_t reserved1;
	uint64_t reserved2;
	uint64_t value[2];
};
_Static_assert(sizeof(struct hv_register_assoc) == 32, "register assoc");

struct hv_input_translate_gva {
	uint64_t partition_id;
	uint32_t vp_index;
	uint32_t padding;
	uint64_t control_flags;
	uint64_t gva_page;
};
struct hv_output_translate_gva {
	uint32_t result_code;
	uint32_t flags;
	uint64_t gpa_page;
};
#define HV_TRANSLATE_GVA_VALIDATE_READ 0x1u
#define HV_TRANSLATE_GVA_VALIDATE_WRITE 0x2u
#define HV_TRANSLATE_GVA_VALIDATE_EXECUTE 0x4u
#define HV_TRANSLATE_GVA_PRIVILEGE_EXEMPT 0x8u
#define HvTranslateGvaSuccess 0u
#define HvTranslateGvaPageNotPresent 1u
#define HvTranslateGvaPrivilegeViolation 2u
#define HvTranslateGvaInvalidPageTableFlags 3u
#define HvTranslateGvaGpaUnmapped 4u
#define HvTranslateGvaGpaNoReadAccess 5u
#define HvTranslateGvaGpaNoWriteAccess 6u

struct hv_input_read_gpa {
	uint64_t partition_id;
	uint32_t vp_index;
	uint32_t byte_count; /* 1..16 */
	uint64_t gpa;
	uint64_t control_flags;
	uint8_t data[16]; /* HvCallWriteGpa only */
};
_Static_assert(sizeof(struct hv_input_read_gpa) == 48, "read gpa");
struct hv_output_read_gpa {
	uint32_t result_code; /* HvAccessGpa* */
	uint32_t reserved;
	uint8_t data[16];
};
#define HvAccessGpaSuccess 0u
#define HvAccessGpaUnmapped 1u
#define HvAccessGpaReadIntercept 2u
#define HvAccessGpaWriteIntercept 3u

/* HV_PORT_TYPE */
#define HvPortTypeMessage 1u
#define HvPortTypeEvent 2u
#define HvPortTypeMonitor 3u
#define HvPortTypeDoorbell 4u
#define HV_PORT_ID_BITS 24
#define HV_EVENT_FLAGS_COUNT 2048u

struct hv_port_info {
	uint32_t port_type;
	uint32_t padding;
	uint32_t target_sint;
	uint32_t target_vp;
	uint16_t base_flag_number; /* event ports */
	uint16_t flag_count;
	uint32_t reserved;
};
_Static_assert(sizeof(struct hv_port_info) == 24, "port info");

struct hv_connection_info {
	uint32_t port_type;
	uint32_t padding;
	uint64_t reserved[3];
};
_Static_assert(sizeof(struct hv_connection_info) == 32, "connection info");

struct hv_input_create_port {
	uint64_t port_partition;
	uint32_t port_id;
	uint8_t port_vtl;
	uint8_t min_connection_vtl;
	uint16_t padding;
	uint64_t connection_partition;
	struct hv_port_info port_info;
	uint64_t proximity_domain_info;
};
_Static_assert(sizeof(struct hv_input_create_port) == 56, "create port");

struct hv_input_connect_port {
	uint64_t connection_partition;
	uint32_t connection_id;
	uint8_t connection_vtl;
	uint8_t padding1[3];
	uint64_t port_partition;
	uint32_t port_id;
	uint32_t padding2;
	struct hv_connection_info connection_info;
	uint64_t proximity_domain_info;
};
_Static_assert(sizeof(struct hv_input_connect_port) == 72, "connect port");

struct hv_input_port {
	uint64_t partition_id;
	uint32_t id; /* port or connection */
	uint32_t reserved;
};

struct hv_input_post_message {
	uint32_t connection_id;
	uint32_t padding;
	uint32_t message_type;
	uint32_t payload_size;
	uint8_t payload[HV_MESSAGE_PAYLOAD_BYTE_COUNT];
};
_Static_assert(sizeof(struct hv_input_post_message) == 256, "post message");

struct hv_input_signal_event {
	uint32_t connection_id;
	uint16_t flag_number;
	uint16_t reserved;
};
_Static_assert(sizeof(struct hv_input_signal_event) == 8, "signal event");

struct hv_input_post_message_direct {
	uint64_t partition_id;
	uint32_t vp_index;
	uint8_t vtl;
	uint8_t padding1[3];
	uint8_t sint;
	uint8_t padding2[3];
	uint8_t message[HV_MESSAGE_SIZE]; /* struct hv_message, not aligned */
	uint32_t padding3;
};
_Static_assert(sizeof(struct hv_input_post_message_direct) == 280, "post message direct");

struct hv_input_signal_event_direct {
	uint64_t partition_id;
	uint32_t vp_index;
	uint8_t vtl;
	uint8_t sint;
	uint16_t flag_number;
};
_Static_assert(sizeof(struct hv_input_signal_event_direct) == 16, "signal event direct");

struct hv_input_assert_virtual_interrupt {
	uint64_t partition_id;
	uint64_t control; /* HV_INTERRUPT_CONTROL: [31:0] type, 32 level, 33 logical */
	uint64_t destination_address;
	uint32_t requested_vector;
	uint8_t target_vtl;
	uint8_t padding[3];
};
_Static_assert(sizeof(struct hv_input_assert_virtual_interrupt) == 32, "assert interrupt");
#define HvX64InterruptTypeFixed 0u
#define HvX64InterruptTypeLowestPriority 1u
#define HvX64InterruptTypeSmi 2u
#define HvX64InterruptTypeNmi 4u
#define HvX64InterruptTypeInit 5u
#define HvX64InterruptTypeSipi 6u
#define HvX64InterruptTypeExtInt 7u
#define HV_INTERRUPT_CONTROL_LEVEL (UINT64_C(1) << 32)
#define HV_INTERRUPT_CONTROL_LOGICAL (UINT64_C(1) << 33)

/* HV_INITIAL_VP_CONTEXT */
struct hv_initial_vp_context {
	uint64_t rip;
	uint64_t rsp;
	uint64_t rflags;
	struct hv_x64_segment_register cs, ds, es, fs, gs, ss, tr, ldtr;
	struct hv_x64_table_register idtr, gdtr;
	uint64_t efer;
	uint64_t cr0;
	uint64_t cr3;
	uint64_t cr4;
	uint64_t msr_cr_pat;
};
_Static_assert(sizeof(struct hv_initial_vp_context) == 224, "initial vp context");

struct hv_input_start_virtual_processor {
	uint64_t partition_id;
	uint32_t vp_index;
	uint8_t target_vtl;
	uint8_t padding[3];
	struct hv_initial_vp_context vp_context;
};
_Static_assert(sizeof(struct hv_input_start_virtual_processor) == 240, "start vp");

struct hv_input_send_synthetic_cluster_ipi {
	uint32_t vector;
	uint8_t target_vtl;
	uint8_t padding[3];
	uint64_t processor_mask; /* Ex: HV_VP_SET from here */
};
_Static_assert(sizeof(struct hv_input_send_synthetic_cluster_ipi) == 16, "cluster ipi");

struct hv_input_flush_virtual_address_space {
	uint64_t address_space;
	uint64_t flags;
	uint64_t processor_mask; /* Ex: HV_VP_SET from here */
};
_Static_assert(sizeof(struct hv_input_flush_virtual_address_space) == 24, "flush");

/* ---- VP assist page (Spec: TLFS 7.8.7) ---- */
#define HV_APIC_ASSIST_NO_EOI_REQUIRED 0x1u

/* ---- Reference TSC page (Spec: TLFS 12.7) ---- */
struct hv_reference_tsc_page {
	uint32_t tsc_sequence; /* 0: use the MSR */
	uint32_t reserved1;
	uint64_t tsc_scale;
	int64_t tsc_offset;
	uint64_t reserved2[509];
};
_Static_assert(sizeof(struct hv_reference_tsc_page) == HV_PAGE_SIZE, "reference tsc page");

/* ---- Register names (HV_REGISTER_NAME) ---- */
enum hv_register_name {
	HvRegisterExplicitSuspend = 0x00000000,
	HvRegisterInterceptSuspend = 0x00000001,
	HvRegisterDispatchSuspend = 0x00000003,
	HvRegisterInternalActivityState = 0x00000004,

	HvRegisterHypervisorVersion = 0x00000100,
	HvRegisterPrivilegesAndFeaturesInfo = 0x00000200,
	HvRegisterFeaturesInfo = 0x00000201,
	HvRegisterImplementationLimitsInfo = 0x00000202,
	HvRegisterHardwareFeaturesInfo = 0x00000203,
	HvRegisterGuestCrashP0 = 0x00000210,
	HvRegisterGuestCrashP1 = 0x00000211,
	HvRegisterGuestCrashP2 = 0x00000212,
	HvRegisterGuestCrashP3 = 0x00000213,
	HvRegisterGuestCrashP4 = 0x00000214,
	HvRegisterGuestCrashCtl = 0x00000215,
	HvRegisterProcessorClockFrequency = 0x00000240,
	HvRegisterInterruptClockFrequency = 0x00000241,
	HvRegisterGuestIdle = 0x00000250,

	HvRegisterPendingInterruption = 0x00010002,
	HvRegisterInterruptState = 0x00010003,
	HvRegisterPendingEvent0 = 0x00010004,
	HvRegisterPendingEvent1 = 0x00010005,
	HvX64RegisterDeliverabilityNotifications = 0x00010006,

	HvX64RegisterRax = 0x00020000,
	HvX64RegisterRcx = 0x00020001,
	HvX64RegisterRdx = 0x00020002,
	HvX64RegisterRbx = 0x00020003,
	HvX64RegisterRsp = 0x00020004,
	HvX64RegisterRbp = 0x00020005,
	HvX64RegisterRsi = 0x00020006,
	HvX64RegisterRdi = 0x00020007,
	HvX64RegisterR8 = 0x00020008,
	HvX64RegisterR9 = 0x00020009,
	HvX64RegisterR10 = 0x0002000A,
	HvX64RegisterR11 = 0x0002000B,
	HvX64RegisterR12 = 0x0002000C,
	HvX64RegisterR13 = 0x0002000D,
	HvX64RegisterR14 = 0x0002000E,
	HvX64RegisterR15 = 0x0002000F,
	HvX64RegisterRip = 0x00020010,
	HvX64RegisterRflags = 0x00020011,

	HvX64RegisterXmm0 = 0x00030000, /* .. Xmm15 = 0x0003000F */
	HvX64RegisterXmm1 = 0x00030001,
	HvX64RegisterXmm2 = 0x00030002,
	HvX64RegisterXmm3 = 0x00030003,
	HvX64RegisterXmm4 = 0x00030004,
	HvX64RegisterXmm5 = 0x00030005,
	HvX64RegisterXmm15 = 0x0003000F,
	HvX64RegisterFpMmx0 = 0x00030010, /* .. FpMmx7 = 0x00030017 */
	HvX64RegisterFpMmx7 = 0x00030017,
	HvX64RegisterFpControlStatus = 0x00030018,
	HvX64RegisterXmmControlStatus = 0x00030019,

	HvX64RegisterCr0 = 0x00040000,
	HvX64RegisterCr2 = 0x00040001,
	HvX64RegisterCr3 = 0x00040002,
	HvX64RegisterCr4 = 0x00040003,
	HvX64RegisterCr8 = 0x00040004,
	HvX64RegisterXfem = 0x00040005, /* XCR0 */

	HvX64RegisterDr0 = 0x00050000,
	HvX64RegisterDr1 = 0x00050001,
	HvX64RegisterDr2 = 0x00050002,
	HvX64RegisterDr3 = 0x00050003,
	HvX64RegisterDr6 = 0x00050004,
	HvX64RegisterDr7 = 0x00050005,

	HvX64RegisterEs = 0x00060000, /* 0x00060000 + enum x86_seg */
	HvX64RegisterCs = 0x00060001,
	HvX64RegisterSs = 0x00060002,
	HvX64RegisterDs = 0x00060003,
	HvX64RegisterFs = 0x00060004,
	HvX64RegisterGs = 0x00060005,
	HvX64RegisterLdtr = 0x00060006,
	HvX64RegisterTr = 0x00060007,

	HvX64RegisterIdtr = 0x00070000,
	HvX64RegisterGdtr = 0x00070001,

	HvX64RegisterTsc = 0x00080000,
	HvX64RegisterEfer = 0x00080001,
	HvX64RegisterKernelGsBase = 0x00080002,
	HvX64RegisterApicBase = 0x00080003,
	HvX64RegisterPat = 0x00080004,
	HvX64RegisterSysenterCs = 0x00080005,
	HvX64RegisterSysenterEip = 0x00080006,
	HvX64RegisterSysenterEsp = 0x00080007,
	HvX64RegisterStar = 0x00080008,
	HvX64RegisterLstar = 0x00080009,
	HvX64RegisterCstar = 0x0008000A,
	HvX64RegisterSfmask = 0x0008000B,
	HvX64RegisterInitialApicId = 0x0008000C,
	HvX64RegisterMsrMtrrCap = 0x0008000D,
	HvX64RegisterMsrMtrrDefType = 0x0008000E,
	HvX64RegisterMsrMtrrPhysBase0 = 0x00080010, /* .. PhysBaseF */
	HvX64RegisterMsrMtrrPhysMask0 = 0x00080040, /* .. PhysMaskF */
	HvX64RegisterMsrMtrrFix64k00000 = 0x00080070,
	HvX64RegisterMsrMtrrFix16k80000 = 0x00080071,
	HvX64RegisterMsrMtrrFix16kA0000 = 0x00080072,
	HvX64RegisterMsrMtrrFix4kC0000 = 0x00080073, /* .. Fix4kF8000 = 0x0008007A */
	HvX64RegisterMsrMtrrFix4kF8000 = 0x0008007A,
	HvX64RegisterTscAux = 0x0008007B,
	HvX64RegisterDebugCtl = 0x0008007D,
	HvX64RegisterSpecCtrl = 0x00080084,
	HvX64RegisterMsrIa32MiscEnable = 0x000800A0,
	HvX64RegisterIa32FeatureControl = 0x000800A1,

	HvRegisterVpRuntime = 0x00090000,
	HvX64RegisterHypercall = 0x00090001,
	HvRegisterGuestOsId = 0x00090002,
	HvRegisterVpIndex = 0x00090003,
	HvRegisterTimeRefCount = 0x00090004,
	HvX64RegisterEoi = 0x00090010,
	HvX64RegisterIcr = 0x00090011,
	HvX64RegisterTpr = 0x00090012,
	HvRegisterVpAssistPage = 0x00090013,
	HvRegisterReferenceTsc = 0x00090017,

	HvRegisterSint0 = 0x000A0000, /* .. Sint15 = 0x000A000F */
	HvRegisterSint15 = 0x000A000F,
	HvRegisterScontrol = 0x000A0010,
	HvRegisterSversion = 0x000A0011,
	HvRegisterSifp = 0x000A0012,
	HvRegisterSipp = 0x000A0013,
	HvRegisterEom = 0x000A0014,

	HvRegisterStimer0Config = 0x000B0000, /* config and count alternate up to Stimer3Count */
	HvRegisterStimer0Count = 0x000B0001,
	HvRegisterStimer3Count = 0x000B0007,
};

/* HvRegisterInternalActivityState */
#define HV_INTERNAL_ACTIVITY_STARTUP_SUSPEND UINT64_C(0x1) /* waits for INIT-SIPI */
#define HV_INTERNAL_ACTIVITY_HALT_SUSPEND UINT64_C(0x2)
#define HV_INTERNAL_ACTIVITY_IDLE_SUSPEND UINT64_C(0x4)

/* HvCallDispatchVp */
enum hv_vp_dispatch_state {
	HV_VP_DISPATCH_STATE_INVALID = 0,
	HV_VP_DISPATCH_STATE_BLOCKED = 1,
	HV_VP_DISPATCH_STATE_READY = 2,
};
enum hv_vp_dispatch_event {
	HV_VP_DISPATCH_EVENT_INVALID = 0,
	HV_VP_DISPATCH_EVENT_SUSPEND = 1,
	HV_VP_DISPATCH_EVENT_INTERCEPT = 2,
};

#endif
