// SPDX-License-Identifier: Apache-2.0
/*
 * Key-value pairs: a queue of requests, answered one after the other. Reading the intrinsic items is a request like others, of as many messages as
 * the guest has items; once a minute it is put there by itself.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/utf16.h"
#include "service.h"

#define REFRESH_NS (60 * IC_SECOND_NS)
#define RETRY_NS (10 * IC_SECOND_NS) /* the guest's daemon may come up later than its driver */

/* ---- The queue ---- */

static struct ic_kvp_job *first_job(const struct ic_kvp *k)
{
	return k->count == 0 ? NULL : k->jobs[k->first];
}

static struct ic_kvp_job *add_job(struct vsp_ic *ic, enum ic_kvp_operation operation,
				  struct vsp_ic_done done)
{
	struct ic_kvp *k = &ic->kvp;
	struct ic_kvp_job *job = k->count < IC_KVP_JOBS ? calloc(1, sizeof(*job)) : NULL;

	if (job != NULL) {
		job->operation = (uint8_t)operation;
		job->done = done;
		k->jobs[(k->first + k->count) % IC_KVP_JOBS] = job;
		k->count++;
		ic_wake(ic);
	}
	return job;
}

/* The first job ends; the callback may add others. */
static void finish_job(struct ic_kvp *k, enum vsp_ic_result result, uint32_t status)
{
	struct ic_kvp_job *job = first_job(k);
	struct vsp_ic_done done = job->done;

	k->first = (k->first + 1) % IC_KVP_JOBS;
	k->count--;
	k->index = 0;
	ic_kvp_drop_fresh(k);
	free(job);
	ic_finish(&done, result, status);
}

/* ---- Messages ---- */

static void read_soon(struct ic_channel *ch)
{
	ch->ic->kvp.refresh_ns = 0;
}

static uint64_t due_ns(const struct ic_channel *ch)
{
	return ch->ic->kvp.count != 0 ? 0 : ch->ic->kvp.refresh_ns;
}

static size_t put(uint8_t *body, const void *data, size_t bytes)
{
	memcpy(body + sizeof(struct ic_kvp_header), data, bytes);
	return sizeof(struct ic_kvp_header) + bytes;
}

static size_t put_index(uint8_t *body, uint32_t index)
{
	size_t head = sizeof(struct ic_kvp_header) + sizeof(index);

	memset(body, 0, head + sizeof(struct ic_kvp_value));
	memcpy(body + sizeof(struct ic_kvp_header), &index, sizeof(index));
	return head + sizeof(struct ic_kvp_value);
}

static size_t put_job(const struct ic_kvp *k, const struct ic_kvp_job *job, uint8_t *body)
{
	switch (job->operation) {
	case IC_KVP_ENUMERATE:
		return put_index(body, k->index);
	case IC_KVP_DELETE:
		return put(body, &job->body.remove, sizeof(job->body.remove));
	case IC_KVP_GET_IP:
	case IC_KVP_SET_IP:
		memcpy(body + IC_KVP_IP_OFFSET, &job->body.ip, sizeof(job->body.ip));
		return IC_KVP_IP_OFFSET + sizeof(job->body.ip);
	case IC_KVP_GET:
	case IC_KVP_SET:
	default:
		return put(body, &job->body.value, sizeof(job->body.value));
	}
}

static size_t build(struct ic_channel *ch, uint8_t *body)
{
	const struct vsp_ic_done nobody = {0};
	struct ic_kvp *k = &ch->ic->kvp;
	struct ic_kvp_job *job = first_job(k);
	size_t bytes;

	if (job == NULL) {
		job = add_job(ch->ic, IC_KVP_ENUMERATE, nobody);
		if (job == NULL) {
			k->refresh_ns = ic_after(ch->ic, RETRY_NS);
			return 0;
		}
		job->pool = IC_KVP_POOL_AUTO;
	}
	bytes = put_job(k, job, body);
	body[0] = job->operation;
	body[1] = job->pool;
	if (job->operation < IC_KVP_GET_IP) {
		body[2] = body[3] = 0;
	}
	return bytes;
}

/* ---- Answers ---- */

static void end_enumeration(struct ic_channel *ch)
{
	struct ic_kvp *k = &ch->ic->kvp;

	k->refresh_ns = ic_after(ch->ic, REFRESH_NS);
	if (ic_kvp_take_items(k)) {
		ic_changed(ch);
	}
	finish_job(k, VSP_IC_DONE, IC_STATUS_OK);
}

/* An item that makes no sense is left out, and the next one asked for. */
static void enumerated(struct ic_channel *ch, uint32_t status, const uint8_t *body, size_t bytes)
{
	struct ic_kvp *k = &ch->ic->kvp;
	size_t head = sizeof(struct ic_kvp_header) + sizeof(uint32_t);
	struct ic_kvp_value v;

	if (status == IC_STATUS_NO_MORE) {
		end_enumeration(ch);
		return;
	}
	if (status != IC_STATUS_OK) {
		k->refresh_ns = ic_after(ch->ic, RETRY_NS);
		finish_job(k, VSP_IC_REFUSED, status);
		return;
	}
	if (bytes < head + sizeof(v)) {
		ic_report(ch, IC_VIOLATION_BODY, "item %u in %zu bytes, expected %zu", k->index,
			  bytes, head + sizeof(v));
	} else {
		memcpy(&v, body + head, sizeof(v));
		if (!ic_kvp_add_item(k, &v)) {
			ic_report(ch, IC_VIOLATION_BODY,
				  "item %u of type %u with %u and %u bytes is malformed", k->index,
				  v.type, v.key_bytes, v.value_bytes);
		}
	}
	if (++k->index == IC_KVP_ITEMS) {
		end_enumeration(ch);
	}
}

static bool take_value(struct ic_kvp *k, const uint8_t *body, size_t bytes)
{
	struct ic_kvp_value v;

	if (bytes < sizeof(struct ic_kvp_header) + sizeof(v)) {
		return false;
	}
	memcpy(&v, body + sizeof(struct ic_kvp_header), sizeof(v));
	return ic_kvp_value_text(&v, k->value, sizeof(k->value));
}

static bool take_ip(struct ic_kvp *k, const uint8_t *body, size_t bytes)
{
	struct ic_kvp_ip ip;

	if (bytes < IC_KVP_IP_OFFSET + sizeof(ip)) {
		return false;
	}
	memcpy(&ip, body + IC_KVP_IP_OFFSET, sizeof(ip));
	return ic_kvp_ip_parse(&ip, &k->ip);
}

/* The value or the addresses that the answer holds, if it is to hold any. */
static bool take_answer(struct ic_kvp *k, const struct ic_kvp_job *job, const uint8_t *body,
			size_t bytes)
{
	switch (job->operation) {
	case IC_KVP_GET:
		return take_value(k, body, bytes);
	case IC_KVP_GET_IP:
		return take_ip(k, body, bytes);
	default:
		return true;
	}
}

static void answered(struct ic_channel *ch, uint32_t status, const uint8_t *body, size_t bytes)
{
	struct ic_kvp *k = &ch->ic->kvp;
	const struct ic_kvp_job *job = first_job(k);

	if (job->operation == IC_KVP_ENUMERATE) {
		enumerated(ch, status, body, bytes);
		return;
	}
	if (status == IC_STATUS_OK && !take_answer(k, job, body, bytes)) {
		ic_report(ch, IC_VIOLATION_BODY,
			  "the answer to operation %u, of %zu bytes, is malformed", job->operation,
			  bytes);
		status = IC_STATUS_FAIL;
	}
	finish_job(k, status == IC_STATUS_OK ? VSP_IC_DONE : VSP_IC_REFUSED, status);
	k->value[0] = '\0';
}

static void lost(struct ic_channel *ch, enum vsp_ic_result why)
{
	struct ic_kvp *k = &ch->ic->kvp;

	if (why == VSP_IC_GONE) {
		while (k->count != 0) {
			finish_job(k, why, 0);
		}
		ic_kvp_drop_items(k);
	} else if (k->count != 0) {
		k->refresh_ns = ic_after(ch->ic, REFRESH_NS);
		finish_job(k, why, 0);
	}
}

const struct ic_component ic_kvp_component = {
	.name = "kvp",
	.type = IC_KVP_TYPE,
	.instance = IC_KVP_INSTANCE,
	.message_type = IC_MESSAGE_KVP,
	.versions = {{1, 0}, {3, 0}, {4, 0}},
	.version_count = 3,
	.old_framework = true,
	.timeout_ns = 30 * IC_SECOND_NS,
	.ready = read_soon,
	.due_ns = due_ns,
	.build = build,
	.answered = answered,
	.lost = lost,
	.jumped = read_soon,
};

/* ---- Asking ---- */

static bool ready(const struct vsp_ic *ic)
{
	return ic_channel_ready(&ic->channels[VSP_IC_KVP]);
}

/* @text and its NUL; *ret_bytes counts both. */
static bool put_text(const char *text, uint8_t *ret, size_t capacity, uint32_t *ret_bytes)
{
	size_t bytes;

	if (!utf16_encode(text, UTF16_LE, ret, capacity - 2, &bytes) || bytes > capacity - 2) {
		return false;
	}
	memset(ret + bytes, 0, capacity - bytes);
	*ret_bytes = (uint32_t)bytes + 2;
	return true;
}

int vsp_ic_kvp_refresh(struct vsp_ic *ic, struct vsp_ic_done done)
{
	struct ic_kvp_job *job;

	if (!ready(ic)) {
		return -ENODEV;
	}
	job = add_job(ic, IC_KVP_ENUMERATE, done);
	if (job == NULL) {
		return -EBUSY;
	}
	job->pool = IC_KVP_POOL_AUTO;
	return 0;
}

/* GET without a value, and SET. */
static int ask_value(struct vsp_ic *ic, enum ic_kvp_operation operation, enum vsp_ic_pool pool,
		     const char *key, const char *value, struct vsp_ic_done done)
{
	struct ic_kvp_value v = {.type = IC_KVP_TYPE_SZ};
	struct ic_kvp_job *job;

	if (!ready(ic)) {
		return -ENODEV;
	}
	if (key[0] == '\0' || !put_text(key, v.key, sizeof(v.key), &v.key_bytes) ||
	    !put_text(value, v.value, sizeof(v.value), &v.value_bytes)) {
		return -EINVAL;
	}
	job = add_job(ic, operation, done);
	if (job == NULL) {
		return -EBUSY;
	}
	job->pool = (uint8_t)pool;
	job->body.value = v;
	return 0;
}

int vsp_ic_kvp_set(struct vsp_ic *ic, enum vsp_ic_pool pool, const char *key, const char *value,
		   struct vsp_ic_done done)
{
	return ask_value(ic, IC_KVP_SET, pool, key, value, done);
}

int vsp_ic_kvp_get(struct vsp_ic *ic, enum vsp_ic_pool pool, const char *key,
		   struct vsp_ic_done done)
{
	return ask_value(ic, IC_KVP_GET, pool, key, "", done);
}

int vsp_ic_kvp_delete(struct vsp_ic *ic, enum vsp_ic_pool pool, const char *key,
		      struct vsp_ic_done done)
{
	struct ic_kvp_delete d = {0};
	struct ic_kvp_job *job;

	if (!ready(ic)) {
		return -ENODEV;
	}
	if (key[0] == '\0' || !put_text(key, d.key, sizeof(d.key), &d.key_bytes)) {
		return -EINVAL;
	}
	job = add_job(ic, IC_KVP_DELETE, done);
	if (job == NULL) {
		return -EBUSY;
	}
	job->pool = (uint8_t)pool;
	job->body.remove = d;
	return 0;
}

static int ask_ip(struct vsp_ic *ic, enum ic_kvp_operation operation, const char *adapter,
		  const struct vsp_ic_ip *ip, struct vsp_ic_done done)
{
	struct ic_kvp_job *job;
	struct ic_kvp_ip body;

	if (!ready(ic)) {
		return -ENODEV;
	}
	if (!ic_version_least(&ic->channels[VSP_IC_KVP], 4, 0)) {
		return -ENOTSUP;
	}
	if (!ic_kvp_ip_build(adapter, ip, &body)) {
		return -EINVAL;
	}
	job = add_job(ic, operation, done);
	if (job == NULL) {
		return -EBUSY;
	}
	job->body.ip = body;
	return 0;
}

int vsp_ic_kvp_set_ip(struct vsp_ic *ic, const struct guid *instance, const struct vsp_ic_ip *ip,
		      struct vsp_ic_done done)
{
	char text[GUID_TEXT_BYTES], adapter[GUID_TEXT_BYTES + 2];

	guid_format(instance, text);
	snprintf(adapter, sizeof(adapter), "{%s}", text);
	return ask_ip(ic, IC_KVP_SET_IP, adapter, ip, done);
}

int vsp_ic_kvp_get_ip(struct vsp_ic *ic, const uint8_t mac[6], struct vsp_ic_done done)
{
	const struct vsp_ic_ip ip = {.ipv4 = true, .ipv6 = true};
	char adapter[18];

	snprintf(adapter, sizeof(adapter), "%02X:%02X:%02X:%02X:%02X:%02X", mac[0], mac[1], mac[2],
		 mac[3], mac[4], mac[5]);
	return ask_ip(ic, IC_KVP_GET_IP, adapter, &ip, done);
}

const char *vsp_ic_kvp_value(const struct vsp_ic *ic)
{
	return ic->kvp.value;
}

const struct vsp_ic_ip *vsp_ic_kvp_ip(const struct vsp_ic *ic)
{
	return &ic->kvp.ip;
}

unsigned vsp_ic_kvp_items(const struct vsp_ic *ic, const struct vsp_ic_item **ret_items)
{
	*ret_items = ic->kvp.items;
	return ic->kvp.item_count;
}
