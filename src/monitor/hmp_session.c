/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A session of the monitor for people: keys from a chardev become lines, lines become texts on the configuration
 * thread, texts go back.
 *
 *            opened, or (behind a mux) looked at            Enter, Tab
 *    QUIET ------------------------------------> EDITING <--------------> BUSY
 *
 * Who owns what:
 *
 *   chardev's loop         what a client had sent and nobody had read when it went: taken out of the chardev at that
 *                          moment, so that the next one's bytes don't follow it. Else it counts, and wakes the
 *                          monitor's loop.
 *   monitor's loop         the session, but for what the configuration thread has while it is BUSY.
 *   configuration thread   creates and destroys. While BUSY: line, text, completion, and the editor's history.
 *
 * Handing over is scheduling a bottom half, which orders memory.
 *
 * A hostile client can type anything (line_editor.c), not read what it asked for, come and go. Its input isn't read
 * while output waits or a command runs, so it costs one line and one text. What a client has sent is run even if it has
 * gone since: it may have been a script.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/lock.h"
#include "chardev/byte_ring.h"
#include "machine/machine.h"
#include "monitor/hmp.h"
#include "monitor/hmp_command.h"

#define HMP_PROMPT "(heddle) "

enum hmp_state { HMP_QUIET, HMP_EDITING, HMP_BUSY };

/*
 * monitor, chardev, loop, is_muxed: immutable. focused: any thread. line, wants_words, text, completion: see above. The
 * rest: monitor's loop.
 */
struct hmp_session {
    struct chardev_frontend frontend;
    struct monitor *monitor;
    struct chardev *chardev;
    struct event_loop *loop;
    bool is_muxed;
    _Atomic unsigned focused; /* how often a mux turned to us */
    struct bh pump, done;     /* monitor's loop */
    struct bh run;            /* configuration thread's */

    struct hdl_mutex lock;                                   /* LOCK_RANK_DEVICE: a front end's */
    unsigned clients HDL_GUARDED_BY(&lock);                  /* how many have come */
    uint8_t leftover[BYTE_RING_BYTES] HDL_GUARDED_BY(&lock); /* of one that has gone */
    size_t leftover_bytes HDL_GUARDED_BY(&lock);
    unsigned leftover_client HDL_GUARDED_BY(&lock);

    enum hmp_state state;
    unsigned client; /* whom we listen to: the last of the clients, or one that has gone */
    unsigned focused_seen;
    struct line_editor *editor;
    uint8_t in[BYTE_RING_BYTES];
    size_t in_len, in_at;
    char *out; /* what the chardev hasn't taken yet */
    size_t out_len, out_at, out_capacity;

    char *line;
    bool wants_words; /* the line is to be completed, not run */
    char *text;
    struct completion completion;
};

/* --- output ----------------------------------------------------------------------------------------------------- */

/* Bounded by what one key or one command shows. Without memory it isn't shown. */
static void session_write(void *opaque, const char *bytes, size_t len_bytes)
{
    struct hmp_session *session = opaque;

    if (session->out_len + len_bytes > session->out_capacity) {
        size_t capacity = MAX(2 * session->out_capacity, session->out_len + len_bytes);
        char *out = realloc(session->out, capacity);

        if (!out) {
            return;
        }
        session->out = out;
        session->out_capacity = capacity;
    }
    memcpy(session->out + session->out_len, bytes, len_bytes);
    session->out_len += len_bytes;
}

/* Terminals want a carriage return before each line feed. */
static void session_write_text(struct hmp_session *session, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");

        session_write(session, text, len);
        text += len;
        if (*text) {
            session_write(session, "\r\n", 2);
            text++;
        }
    }
}

static bool session_client_is_here(struct hmp_session *session)
{
    bool is_here;

    hdl_mutex_lock(&session->lock);
    is_here = session->client == session->clients;
    hdl_mutex_unlock(&session->lock);
    return is_here;
}

/* Whether all that was to be shown has been taken. If not, the chardev tells when it takes more. */
static bool session_flush(struct hmp_session *session)
{
    if (!session_client_is_here(session)) {
        session->out_at = session->out_len; /* somebody else is there now, who didn't ask for it */
    }
    if (session->out_at < session->out_len) {
        session->out_at +=
            chardev_write(session->chardev, session->out + session->out_at, session->out_len - session->out_at);
    }
    if (session->out_at < session->out_len) {
        return false;
    }
    session->out_at = session->out_len = 0;
    return true;
}

/* --- lines ------------------------------------------------------------------------------------------------------ */

static void session_greet(struct hmp_session *session)
{
    session->state = HMP_EDITING;
    session_write_text(session, "heddle " HDL_VERSION " monitor - type 'help' for more information\n");
    line_editor_begin(session->editor);
}

static void session_hand_over(struct hmp_session *session, char *line, bool wants_words)
{
    session->line = line;
    session->wants_words = wants_words;
    session->state = HMP_BUSY;
    bh_schedule(&session->run);
}

/* Configuration thread. */
static void session_run(void *opaque)
{
    struct hmp_session *session = opaque;

    if (session->line && session->wants_words) {
        hmp_complete(session->monitor, session->line, &session->completion);
    } else if (session->line) {
        session->text = hmp_run_for(session->monitor, session->line, session->editor);
    }
    bh_schedule(&session->done);
}

static void session_release_result(struct hmp_session *session)
{
    free(session->line);
    free(session->text);
    completion_release(&session->completion);
    session->line = session->text = NULL;
}

static void session_pump(void *opaque);

static void session_done(void *opaque)
{
    struct hmp_session *session = opaque;

    session->state = HMP_EDITING;
    if (session->wants_words) {
        line_editor_complete(session->editor, &session->completion);
    } else {
        session_write_text(session, session->text ? session->text : "Error: out of memory\n");
        line_editor_begin(session->editor);
    }
    session_release_result(session);
    session_pump(session);
}

static void session_key(struct hmp_session *session, uint8_t key)
{
    switch (line_editor_feed(session->editor, key)) {
    case LINE_EDITOR_LINE:
        session_hand_over(session, strdup(line_editor_line(session->editor)), false);
        break;
    case LINE_EDITOR_COMPLETE:
        session_hand_over(session, line_editor_before_cursor(session->editor), true);
        break;
    default:
        break;
    }
}

/* --- the monitor's loop ----------------------------------------------------------------------------------------- */

/* A mux may have turned to us since the last look. */
static void session_look(struct hmp_session *session)
{
    unsigned focused = atomic_load_explicit(&session->focused, memory_order_acquire);

    if (focused != session->focused_seen && session->state == HMP_EDITING) {
        line_editor_redraw(session->editor);
    } else if (focused != session->focused_seen && session->state == HMP_QUIET) {
        session_greet(session);
    }
    session->focused_seen = focused;
}

enum session_input { SESSION_NO_KEY, SESSION_KEY, SESSION_NEXT_CLIENT };

/* Fills `in`, which is empty: with what the client sent, and when there is no more of it, with the next one's. */
static enum session_input session_fill(struct hmp_session *session)
{
    enum session_input input = SESSION_KEY;
    unsigned next;

    session->in_at = session->in_len = 0;
    hdl_mutex_lock(&session->lock);
    next = session->leftover_bytes > 0 ? session->leftover_client : session->clients;
    if (session->client != next) {
        session->client = next;
        input = SESSION_NEXT_CLIENT;
    } else if (session->leftover_bytes > 0) {
        memcpy(session->in, session->leftover, session->leftover_bytes);
        session->in_len = session->leftover_bytes;
        session->leftover_bytes = 0;
    } else {
        session->in_len = chardev_read(session->chardev, session->in, sizeof(session->in));
        input = session->in_len > 0 ? SESSION_KEY : SESSION_NO_KEY;
    }
    hdl_mutex_unlock(&session->lock);
    return input;
}

/* All that can be done now. Whatever stops it schedules it again: the chardev, or the end of a command. */
static void session_pump(void *opaque)
{
    struct hmp_session *session = opaque;
    enum session_input input = SESSION_KEY;

    session_look(session);
    while (session->state != HMP_BUSY && session_flush(session) && input != SESSION_NO_KEY) {
        input = session->in_at < session->in_len ? SESSION_KEY : session_fill(session);
        if (input == SESSION_NEXT_CLIENT || (input == SESSION_KEY && session->state == HMP_QUIET)) {
            session_greet(session);
        }
        if (input == SESSION_KEY) {
            session_key(session, session->in[session->in_at++]);
        }
    }
    session_flush(session);
}

/* --- the chardev's loop ----------------------------------------------------------------------------------------- */

static void session_readable(struct chardev_frontend *frontend)
{
    bh_schedule(&container_of(frontend, struct hmp_session, frontend)->pump);
}

/* What was sent and not read yet is put aside; if there is something aside already, it stays, or is lost if `must`. */
static void session_put_aside_locked(struct hmp_session *session, bool must) HDL_REQUIRES(&session->lock)
{
    uint8_t lost[BYTE_RING_BYTES];

    if (session->leftover_bytes == 0) {
        session->leftover_bytes = chardev_read(session->chardev, session->leftover, sizeof(session->leftover));
        session->leftover_client = session->clients;
    } else if (must) {
        chardev_read(session->chardev, lost, sizeof(lost));
    }
}

static void session_opened(struct hmp_session *session)
{
    hdl_mutex_lock(&session->lock);
    session_put_aside_locked(session, true);
    session->clients++;
    hdl_mutex_unlock(&session->lock);
}

/* Of clients that came and went before the monitor's loop looked once, the first and the last are heard. */
static void session_closed(struct hmp_session *session)
{
    hdl_mutex_lock(&session->lock);
    session_put_aside_locked(session, false);
    hdl_mutex_unlock(&session->lock);
}

/* Behind a mux there is one person all the time, who may look elsewhere. */
static void session_event(struct chardev_frontend *frontend, enum chardev_event event)
{
    struct hmp_session *session = container_of(frontend, struct hmp_session, frontend);

    if (event == CHARDEV_OPENED && !session->is_muxed) {
        session_opened(session);
    } else if (event == CHARDEV_CLOSED && !session->is_muxed) {
        session_closed(session);
    } else if (event == CHARDEV_FOCUSED) {
        atomic_fetch_add_explicit(&session->focused, 1, memory_order_release);
    }
    bh_schedule(&session->pump);
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static void session_free(struct hmp_session *session)
{
    session_release_result(session);
    line_editor_destroy(session->editor);
    hdl_mutex_destroy(&session->lock);
    free(session->out);
    free(session);
}

struct hmp_session *hmp_session_create(struct monitor *monitor, struct chardev *chardev,
                                       struct event_loop *monitor_loop, struct error **err)
{
    struct hmp_session *session = calloc(1, sizeof(*session));

    if (!session) {
        error_set(err, -ENOMEM, "no memory for a monitor");
        return NULL;
    }
    session->frontend =
        (struct chardev_frontend){.readable = session_readable, .writable = session_readable, .event = session_event};
    session->monitor = monitor;
    session->chardev = chardev;
    session->loop = monitor_loop;
    session->is_muxed = chardev_is_mux_port(chardev);
    hdl_mutex_init(&session->lock, "hmp", LOCK_RANK_DEVICE);
    bh_init(&session->pump, monitor_loop, session_pump, session);
    bh_init(&session->done, monitor_loop, session_done, session);
    bh_init(&session->run, machine_loop(monitor_machine(monitor)), session_run, session);
    session->editor = line_editor_create(HMP_PROMPT, session_write, session);
    if (!session->editor) {
        error_set(err, -ENOMEM, "no memory for a monitor");
        session_free(session);
        return NULL;
    }
    if (chardev_attach(chardev, &session->frontend, err) < 0) {
        session_free(session);
        return NULL;
    }
    return session;
}

static void session_end_on_loop(void *opaque)
{
    struct hmp_session *session = opaque;

    session_flush(session);
    bh_destroy(&session->pump);
    bh_destroy(&session->done);
}

/* The chardev's loop stops telling, then the monitor's stops handing over, then nothing is left to be run here. */
void hmp_session_destroy(struct hmp_session *session)
{
    if (!session) {
        return;
    }
    chardev_detach(session->chardev, &session->frontend);
    event_loop_call(session->loop, session_end_on_loop, session);
    bh_destroy(&session->run);
    session_free(session);
}
