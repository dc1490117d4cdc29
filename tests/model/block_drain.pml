/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drains against requests (src/block/drain.c, src/block/request.c), on this graph, in which drains overlap without
 * being the same:
 *
 *      A   C         A drain of A or B concerns A, B and C; one of D concerns D and C; one of C all four.
 *       \ / \
 *        B   D
 *
 * Processes, each step of which is one callback of the loop: two drains, of any nodes, that begin and end at any time,
 * nested or overlapping, also from within each other's `drained`; users that submit requests to A, C and D, also from
 * within `drained`; and the host, which ends what is under way in any order. A request of A makes one of B; one of C
 * makes one of B and, after that one has ended, one of D.
 *
 * Checked (assertions):
 *   - when `drained` is called, and until that drain ends, nothing is under way on its node or below: no user's request
 *     and none that a driver made
 *   - `drained` is called at most once a drain, and never after its end; and at once, when there is nothing to wait for
 *   - a drain is told when all has ended, whatever others do (no invalid end state: a waiting drain doesn't end by
 *     itself); requests of a node start in the order in which they were submitted, and all are served
 *
 * 1.2 million states.
 */
#define NODES    4
#define A        0
#define B        1
#define C        2
#define D        3
#define DRAINS   2
#define REQUESTS 3

/* Sets of nodes, as bits. */
#define BELOW_A   3
#define BELOW_B   2
#define BELOW_C   14
#define BELOW_D   8
#define CONCERN_A 7
#define CONCERN_B 7
#define CONCERN_C 15
#define CONCERN_D 12

/* A request's place. AT_*: which driver serves it, for which request. */
mtype = { UNUSED, PARKED, AT_OWN, AT_B, AT_D, ENDED };
mtype = { IDLE, WAITING, STILL, OVER };

byte drain_count[NODES];
byte user_in_flight[NODES];
byte in_flight[NODES];
byte submitted[NODES], started[NODES]; /* how many of the node's requests */

mtype request[REQUESTS] = UNUSED;
byte request_node[REQUESTS], request_number[REQUESTS];
byte requests;

mtype drain[DRAINS] = IDLE;
byte drain_node[DRAINS];
byte ended;

/* Temporaries of steps, 0 between them. */
byte t_set, t_node, t_i, t_sum, t_next;
bool t_again;

#define HAS(set, node) ((set >> node) & 1)

inline concern(node) {
    if
    :: node == A -> t_set = CONCERN_A
    :: node == B -> t_set = CONCERN_B
    :: node == C -> t_set = CONCERN_C
    :: node == D -> t_set = CONCERN_D
    fi
}

/* is_still, for t_set: the sum of users' requests. */
inline sum_in_flight() {
    t_sum = HAS(t_set, A) * user_in_flight[A] + HAS(t_set, B) * user_in_flight[B] +
            HAS(t_set, C) * user_in_flight[C] + HAS(t_set, D) * user_in_flight[D]
}

/* What a drain's user relies on. */
inline assert_nothing_below(node) {
    if
    :: node == A -> assert(in_flight[A] + in_flight[B] == 0)
    :: node == B -> assert(in_flight[B] == 0)
    :: node == C -> assert(in_flight[B] + in_flight[C] + in_flight[D] == 0)
    :: node == D -> assert(in_flight[D] == 0)
    fi
}

inline assert_all() {
    t_i = 0;
    do
    :: t_i < DRAINS ->
       if
       :: drain[t_i] == STILL -> assert_nothing_below(drain_node[t_i])
       :: else -> skip
       fi;
       t_i++
    :: t_i == DRAINS -> break
    od;
    t_i = 0
}

/* The start of request t_next at its node. */
inline start() {
    assert(request_number[t_next] == started[request_node[t_next]]);
    started[request_node[t_next]]++;
    user_in_flight[request_node[t_next]]++;
    in_flight[request_node[t_next]]++;
    request[t_next] = AT_OWN
}

/* block_submit */
inline submit(node) {
    if
    :: requests < REQUESTS ->
       t_next = requests;
       requests++;
       request_node[t_next] = node;
       request_number[t_next] = submitted[node];
       submitted[node]++;
       if
       :: drain_count[node] > 0 -> request[t_next] = PARKED
       :: else -> start()
       fi;
       t_next = 0
    :: else -> skip
    fi
}

/* block_start_parked, for all nodes: a node that is drained still starts nothing. Requests are in the order of submits. */
inline start_parked() {
    t_next = 0;
    do
    :: t_next < requests ->
       if
       :: request[t_next] == PARKED && drain_count[request_node[t_next]] == 0 -> start()
       :: else -> skip
       fi;
       t_next++
    :: t_next == requests -> break
    od;
    t_next = 0
}

inline count(by) {
    drain_count[A] = drain_count[A] + by * HAS(t_set, A);
    drain_count[B] = drain_count[B] + by * HAS(t_set, B);
    drain_count[C] = drain_count[C] + by * HAS(t_set, C);
    drain_count[D] = drain_count[D] + by * HAS(t_set, D)
}

/* block_drain_end, of a drain in either state */
inline drain_end(d) {
    drain[d] = OVER;
    concern(drain_node[d]);
    count(-1);
    start_parked();
    drain_node[d] = 0;
    t_set = 0
}

/* tell, and what the user does in `drained`: nothing, end some drain, or submit. */
inline tell(d) {
    assert(drain[d] == WAITING);
    assert_nothing_below(drain_node[d]);
    drain[d] = STILL;
    if
    :: skip
    :: true -> drain_end(d)
    :: drain[(d + 1) % DRAINS] == WAITING || drain[(d + 1) % DRAINS] == STILL -> drain_end((d + 1) % DRAINS)
    :: true -> submit(A)
    :: true -> submit(D)
    fi
}

inline drain_begin(d, node) {
    drain_node[d] = node;
    drain[d] = WAITING;
    concern(node);
    count(1);
    sum_in_flight();
    t_set = 0;
    if
    :: t_sum == 0 -> tell(d)
    :: else -> t_sum = 0
    fi
}

/* block_drain_check: looks afresh after each call. */
inline check() {
    t_again = true;
    do
    :: t_again ->
       t_again = false;
       t_node = 0; /* the drain */
       do
       :: t_node < DRAINS && drain[t_node] == WAITING ->
          concern(drain_node[t_node]);
          sum_in_flight();
          t_set = 0;
          if
          :: t_sum == 0 -> t_again = true; break
          :: else -> t_sum = 0; t_node++
          fi
       :: t_node < DRAINS && drain[t_node] != WAITING -> t_node++
       :: t_node == DRAINS -> break
       od;
       if
       :: t_again -> t_sum = 0; tell(t_node)
       :: !t_again -> skip
       fi
    :: !t_again -> break
    od;
    t_node = 0
}

/* block_complete of a user's request, whose done() has returned */
inline user_complete(r) {
    in_flight[request_node[r]]--;
    user_in_flight[request_node[r]]--;
    request[r] = ENDED;
    request_number[r] = 0;
    if
    :: drain_count[request_node[r]] > 0 && user_in_flight[request_node[r]] == 0 -> check()
    :: else -> skip
    fi
}

/* The host's and the drivers' next step for a request under way. */
inline advance(r) {
    if
    :: request[r] == AT_OWN && request_node[r] == D -> user_complete(r)
    :: request[r] == AT_OWN && request_node[r] != D -> in_flight[B]++; request[r] = AT_B
    :: request[r] == AT_B && request_node[r] == A -> in_flight[B]--; user_complete(r)
    :: request[r] == AT_B && request_node[r] == C -> in_flight[B]--; in_flight[D]++; request[r] = AT_D
    :: request[r] == AT_D -> in_flight[D]--; user_complete(r)
    fi
}

#define UNDER_WAY(r) (request[r] == AT_OWN || request[r] == AT_B || request[r] == AT_D)

active proctype host() {
end_idle:
    do
    :: atomic { UNDER_WAY(0) -> advance(0); assert_all() }
    :: atomic { UNDER_WAY(1) -> advance(1); assert_all() }
    :: atomic { UNDER_WAY(2) -> advance(2); assert_all() }
    od
}

active proctype user() {
    do
    :: atomic { requests < REQUESTS -> submit(A); assert_all() }
    :: atomic { requests < REQUESTS -> submit(C); assert_all() }
    :: atomic { requests < REQUESTS -> submit(D); assert_all() }
    :: requests == REQUESTS -> break
    od;
    ended++
}

proctype drainer(byte me) {
    if
    :: atomic { drain_begin(me, A); assert_all() }
    :: atomic { drain_begin(me, B); assert_all() }
    :: atomic { drain_begin(me, C); assert_all() }
    :: atomic { drain_begin(me, D); assert_all() }
    fi;
    /* Some wait until they are told, some end when they like. */
    if
    :: true -> drain[me] != WAITING
    :: true -> skip
    fi;
    atomic {
        if
        :: drain[me] != OVER -> drain_end(me)
        :: else -> skip
        fi;
        assert_all()
    };
    ended++
}

init {
    atomic {
        run drainer(0);
        run drainer(1)
    };
    ended == DRAINS + 1;
    (request[0] == ENDED && request[1] == ENDED && request[2] == ENDED);
    assert(drain_count[A] + drain_count[B] + drain_count[C] + drain_count[D] == 0)
}
