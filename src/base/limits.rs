//! Every limit in one place, each with its reason and what the peer is told when it is reached.

use std::time::Duration;

// Messages

/// Recipients of one stored file: a bit each in the name's `L=` field. A transaction with more is stored as several files.
pub const RECIPIENTS_PER_FILE: usize = 100;
/// Largest message that is kept whole unless configured otherwise; above it the header is kept. Typical MTAs stop at 50 MB.
pub const MESSAGE_BYTES: u64 = 64 << 20;
/// Messages in memory at intake, together; then the door answers 452 and the sender tries again.
pub const INTAKE_BYTES: u64 = 64 << 20;
/// Header block that is parsed, searched and cached; what lies beyond counts as body. Outlook's are below 64 KB.
pub const HEADER_BYTES: usize = 1 << 20;
/// MIME parts of one message that are told apart; the rest is opaque. Real mail stays below 500.
pub const MIME_PARTS: usize = 10_000;
/// Depth of nested MIME parts; deeper ones are opaque. Real mail stays below 12, and IMAP clients recurse.
pub const MIME_DEPTH: usize = 64;
/// Bytes of one header field that ENVELOPE and BODYSTRUCTURE repeat; what lies beyond is cut.
pub const FIELD_BYTES: usize = 64 << 10;
/// Addresses of one field that ENVELOPE lists.
pub const ADDRESSES: usize = 2_000;
/// Parameters of one Content-Type or Content-Disposition.
pub const PARAMETERS: usize = 200;
/// Header bytes that the MIME structure of one message looks at, over all parts; parts behind them count as text/plain.
pub const STRUCTURE_BYTES: usize = 4 << 20;

// Cache

/// Raw header block that the cache keeps of a message; longer ones are read from the message each time.
pub const CACHE_HEADER: usize = 64 << 10;
/// Stored messages that wait to be parsed for the cache; further ones are parsed when somebody asks for them.
pub const CACHE_WISHES: usize = 4_096;
/// Bits of the set that says which texts a message cannot hold: 2.5 to 5 of them for each three bytes that differ, of which
/// messages of spam have 2,000, a few 50,000. Of texts with 180,000 and more nothing is said; a text search reads them.
pub const SIGNATURE_BITS: usize = 1 << 18;

// IMAP

/// One command line without its literals. RFC 7162 4 asks for 8,192 at least; long UID sets need more. `BAD`, and the line is skipped.
pub const IMAP_LINE: usize = 64 << 10;
/// All non-APPEND literals of one command, together. `BAD [TOOBIG]`.
pub const IMAP_LITERALS: usize = 64 << 10;
/// The same before login, when a peer is nobody yet.
pub const IMAP_LITERALS_BEFORE_LOGIN: usize = 4 << 10;
/// A refused literal that is read and dropped, so that the connection goes on. Above it: `* BYE`.
pub const IMAP_SKIP: u64 = 256 << 20;
/// Patterns of one LIST. `BAD`.
pub const LIST_PATTERNS: usize = 50;
/// Nested parentheses and NOTs of a SEARCH. `BAD`.
pub const SEARCH_DEPTH: usize = 50;
/// Search keys of one command. `BAD`.
pub const SEARCH_KEYS: usize = 1_000;
/// Children of Caught that LIST shows (`admin_tree`), by name; further ones open by name all the same. Mail programs get
/// slow long before.
pub const CHILD_FOLDERS: usize = 20_000;
/// Children of Caught that NOTIFY watches: the figures of all are compared at each change. `NOTIFICATIONOVERFLOW`.
pub const NOTIFY_CHILDREN: usize = 1_000;
/// Folders that LIST looks at before other sessions have their turn; it takes some 0.3 ms.
pub const LIST_TURN: usize = 512;
/// Event groups of one NOTIFY. `BAD`.
pub const NOTIFY_GROUPS: usize = 100;
/// Pairs of sequence number and UID that a client who comes back may name. The rest is not looked at.
pub const RESYNC_PAIRS: usize = 10_000;
/// Bytes of one body part that a SEARCH looks at.
pub const SEARCH_PART: usize = 16 << 20;
/// Hits in one piece of an answer to SEARCH.
pub const SEARCH_HITS: usize = 8_192;
/// Criteria of one SORT: there are ten. `BAD`.
pub const SORT_CRITERIA: usize = 20;
/// Memory for the keys of SORTs and the links of THREADs, all sessions together; 100,000 messages need some 15 MB. `NO [LIMIT]`.
pub const ORDER_BYTES: usize = 256 << 20;
/// Message ids in one References field that THREAD follows, the first and the last ones.
pub const THREAD_REFERENCES: usize = 100;
/// Depth of a thread; a deeper answer begins a thread of its own. Every message walks up to find loops.
pub const THREAD_DEPTH: usize = 1_000;
/// Searches of one session whose results are kept up to date (RFC 5267 4.3.1). `NO [NOUPDATE]`.
pub const SEARCH_CONTEXTS: usize = 8;
/// Ranges of UIDs that these results hold together, beyond the first. `NO [NOUPDATE]`.
pub const CONTEXT_RANGES: usize = 100_000;
/// Items of one FETCH: each repeats part of the message. `BAD`.
pub const FETCH_ITEMS: usize = 200;
/// Messages of one APPEND; all of them are taken or none. `NO [LIMIT]`.
pub const APPEND_MESSAGES: usize = 1_000;
/// Decoded bytes of one BINARY item, which are held in memory. `NO [LIMIT]`: a client asks for pieces (`<0.n>`) then.
pub const BINARY_BYTES: usize = 16 << 20;
/// Bytes of a text part that a preview looks at.
pub const PREVIEW_BYTES: usize = 32 << 10;
/// Errors in a row after which the connection is closed.
pub const IMAP_ERRORS: u32 = 20;
/// Idle time after login: RFC 3501 5.4 asks for 30 minutes at least. `* BYE`.
pub const IMAP_IDLE: Duration = Duration::from_secs(31 * 60);
/// Time to log in. `* BYE`.
pub const LOGIN_TIME: Duration = Duration::from_secs(60);
/// Output that gathers before it is written to the peer.
pub const OUTPUT_BYTES: usize = 32 << 10;
/// A piece of an answer, and of a file that is copied.
pub const PIECE_BYTES: usize = 64 << 10;
/// Lines of a FETCH that are made before any of them is sent. More would spare little, and each of a thousand slow clients holds so
/// much.
pub const ANSWER_BYTES: usize = 128 << 10;
/// Messages of a FETCH that are looked up together.
pub const GROUP: usize = 32;
/// Messages that a SEARCH looks at together, unless its turn ends.
pub const BATCH: usize = 32_768;
/// Those of them that one thread looks at in a row, at the most: what the store keeps of them lies together.
pub const SPAN: usize = 512;
/// Messages that several threads parse together for a FETCH: starting the threads takes as long as parsing a few.
pub const AHEAD: usize = 256;
/// No more are added to them when they have so many bytes: both cores of a small machine parse them in 10 ms.
pub const AHEAD_BYTES: u64 = 2 << 20;
/// Rows in one piece of an answer.
pub const PIECE_ROWS: usize = 256;
/// Sessions that are told of a change at once: they take the time of one command. With [`WAKE_PAUSE`], all of a thousand are
/// told within 70 ms, and whoever changes something next has most of the machine.
pub const WAKE_AT_ONCE: usize = 32;
/// Until the next are told.
pub const WAKE_PAUSE: Duration = Duration::from_millis(2);
/// Longest mailbox name, in bytes.
pub const MAILBOX_NAME: usize = 1_000;

// LMTP

/// One command line: RFC 5321 4.5.3.1.4 has 512, extensions add to it (SMTPUTF8, DSN, XFORWARD). `500 5.5.2`.
pub const LMTP_LINE: usize = 4 << 10;
/// Recipients of one transaction; RFC 5321 4.5.3.1.8 asks for 100. `452 4.5.3`.
pub const LMTP_RECIPIENTS: usize = 1_000;
/// Idle time (RFC 5321 4.5.3.2.7 has five minutes). `421 4.4.2`.
pub const LMTP_IDLE: Duration = Duration::from_secs(300);
/// Longest reverse-path. It is recorded and never delivered to, so it may pass RFC 5321 4.5.3.1.3: long VERP senders are real. `501 5.1.7`.
pub const REVERSE_PATH: usize = 1_000;
/// So long a message that comes once more, byte for byte, is taken for another try of its sender. RFC 5321 4.5.4.1 has
/// senders give up after four or five days.
pub const RETRY_KNOWN: Duration = Duration::from_secs(7 * 86_400);
/// Kept messages of which it is remembered what they are in short, for the same comparison; some 2 MB. Others are read again.
pub const PRINTS: usize = 100_000;
/// Newest messages of a folder among which an earlier try is looked for; it takes some 2 ms. One that lies farther back is
/// kept once more.
pub const RETRY_LOOKED: u32 = 300_000;
/// First piece of memory that a message asks for; later ones double what is held.
pub const INTAKE_FIRST: usize = 64 << 10;
/// Largest later piece, so that one large message does not ask for twice what it needs.
pub const INTAKE_STEP: usize = 8 << 20;
/// Errors in a row after which the connection is closed with 421.
pub const LMTP_ERRORS: u32 = 20;

// Milter

/// One packet of a milter that is gathered whole: what is said of client and envelope. Sendmail's own limit for every
/// packet. The connection is closed, and the mail server defers the mail.
pub const MILTER_COMMAND: usize = 64 << 10;
/// One packet of a milter that is passed on as it comes: a header field or a piece of the body. Postfix cuts fields at
/// 100 KB, Sendmail offers at most this much. The connection is closed, and the mail server defers the mail.
pub const MILTER_PACKET: usize = 1 << 20;
/// Idle time of a milter's connection between messages, as libmilter has it: its client may take long between two
/// commands. Within a message [`LMTP_IDLE`] holds: the mail server has all of it before it shows any. It is closed.
pub const MILTER_IDLE: Duration = Duration::from_secs(7_210);
/// Pause between two signs of life while a message is judged; mail servers wait at least 30 s for each.
pub const MILTER_PROGRESS: Duration = Duration::from_secs(10);

// Connections

/// Connections of one listener. Further ones wait in the kernel's queue.
pub const CONNECTIONS: usize = 20_000;
/// Connections from one address (loopback excepted). The newcomer is closed with a BYE or 421.
pub const CONNECTIONS_PER_ADDRESS: usize = 200;
/// Connections that have not logged in, over all addresses; the newcomer is closed.
pub const CONNECTIONS_BEFORE_LOGIN: usize = 1_000;
/// A TLS handshake.
pub const HANDSHAKE: Duration = Duration::from_secs(20);
/// A write that makes no progress.
pub const WRITE_STALL: Duration = Duration::from_secs(120);

/// How long connections may finish what they do when the server stops.
pub const GRACE: Duration = Duration::from_secs(5);
/// How long a closing connection waits for its peer to close too.
pub const LINGER: Duration = Duration::from_secs(1);
/// Pause after accepting failed, as when no file descriptor is free.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// Bytes written to one peer before others have their turn.
pub const TURN_BYTES: usize = 64 << 10;
/// Network threads besides one a core: so many may wait for the disk while the others serve. Waking a thread of a pool for what
/// is in memory takes longer than the reading.
pub const NET_SPARE: usize = 2;
/// Time for one peer before others have their turn.
pub const TURN_TIME: Duration = Duration::from_micros(500);
/// Reply of an HTTP service that is read; the rest is refused. rspamd's are below 100 KB.
pub const HTTP_REPLY: usize = 1 << 20;

// Commands

/// One request on the control socket: a command over some ten thousand messages. An error, and the connection is closed.
pub const CONTROL_LINE: u64 = 1 << 20;
/// Commands that a server answers at once; further ones wait in the kernel's queue.
pub const CONTROL_CONNECTIONS: usize = 32;
/// A command waits so long for the server's next line (a search over a full store takes a while), and the server for the
/// request.
pub const CONTROL_WAIT: Duration = Duration::from_secs(120);
/// A pass that is lent to `lazaret doctor` ends after this, though its holder is still there.
pub const PASS_TIME: Duration = Duration::from_secs(15 * 60);
/// Bytes of a message that a listing looks at behind the trace, for sender and subject.
pub const LISTED_HEADER: u64 = 64 << 10;

// The doctor

/// For a service to be connected to, and to say that it is there: all of them are near.
pub const DOCTOR_CONNECT: Duration = Duration::from_secs(10);
/// For a mail server's reply to a command, and for a page: a person waits.
pub const DOCTOR_REPLY: Duration = Duration::from_secs(60);
/// For a mail server's reply after the test message: filters look at it meanwhile.
pub const DOCTOR_LAST_REPLY: Duration = Duration::from_secs(180);
/// How long the test message is waited for that a mail server took: what hands it over may have a queue.
pub const DOCTOR_STORED: Duration = Duration::from_secs(20);
/// How long the answer of the release's mail server is waited for.
pub const DOCTOR_HANDED: Duration = Duration::from_secs(60);
/// How long a release is watched that was handed over: a filter behind the queue catches it within seconds.
pub const DOCTOR_QUIET: Duration = Duration::from_secs(8);
/// How long the release is looked for in the mailbox.
pub const DOCTOR_DELIVERED: Duration = Duration::from_secs(30);
/// Pause between two looks into the mailbox, which may be on another machine.
pub const DOCTOR_MAILBOX_LOOK: Duration = Duration::from_secs(1);
/// How long it may take to remove the test message: a delivery under way is waited for.
pub const DOCTOR_CLEAN: Duration = Duration::from_secs(15);
/// Pause between two looks at what became of the test message.
pub const DOCTOR_LOOK: Duration = Duration::from_millis(250);
/// Bytes of the journal that are read for what became of the test message; it began a minute ago.
pub const DOCTOR_RECENT: u64 = 16 << 20;
/// Bytes of the journal that are compared with what a filter says that it rejected: some 200,000 messages.
pub const DOCTOR_JOURNAL: u64 = 64 << 20;
/// What a filter tells of its history; rspamd keeps 200 messages unless told otherwise, each in some 10 KB.
pub const DOCTOR_HISTORY: usize = 64 << 20;
/// Messages that are named of those that a filter rejected and that are missing here.
pub const DOCTOR_MISSING: usize = 10;
/// Largest page that is looked at.
pub const DOCTOR_PAGE: usize = 4 << 20;
/// Bytes of a Message-ID that the journal notes: RFC 5322 2.1.1 has lines of 998.
pub const JOURNAL_MESSAGE_ID: usize = 998;

// The page

/// Request line and fields of one HTTP request. 431.
pub const HTTP_HEADER: usize = 32 << 10;
/// Fields of one HTTP request; browsers send below 30. 431.
pub const HTTP_FIELDS: usize = 100;
/// Time for a request's head, and how long a connection may be silent between two. It is then closed.
pub const HTTP_HEAD_TIME: Duration = Duration::from_secs(20);
/// Time for the body of a form. 408.
pub const HTTP_BODY_TIME: Duration = Duration::from_secs(60);
/// Bytes of a form without a file: a page lists 100 messages, each in some 150 bytes. 413.
pub const FORM_BYTES: usize = 256 << 10;
/// Fields of a form or query; further ones are not looked at.
pub const FORM_FIELDS: usize = 2_000;
/// A message that is uploaded for a report. 413.
pub const UPLOAD_BYTES: usize = 32 << 20;
/// Uploads in memory together; then 503.
pub const UPLOADS: usize = 96 << 20;
/// Sessions of the page; the one that was not used for longest ends when there are more.
pub const SESSIONS: usize = 20_000;
/// A session that nobody uses ends after this.
pub const SESSION_IDLE: Duration = Duration::from_secs(12 * 3_600);
/// A session ends after this in any case.
pub const SESSION_MOST: Duration = Duration::from_secs(7 * 86_400);
/// Messages on one page of a list.
pub const LIST_ROWS: usize = 50;
/// Time that one page of a search may take before it shows what it has found.
pub const SEARCH_TIME: Duration = Duration::from_secs(5);
/// Letters of a search.
pub const SEARCH_LETTERS: usize = 1_000;
/// Actions of the page over many messages that go on in the background at once; then 503.
pub const WORKS: usize = 200;
/// Browsers that wait for news, in all; further ones look again when they are loaded anew.
pub const LIVE: usize = 2_000;
/// A browser that waits for news is told after this that the server is there.
pub const LIVE_BEAT: Duration = Duration::from_secs(30);

// Reports by mail

/// Messages that one mail may report; mail programs attach what is selected. `552 5.3.4`.
pub const REPORT_MESSAGES: usize = 100;

// Pools

/// Threads that wait for the disk, grown on demand.
pub const DISK_THREADS: usize = 32;
/// Threads that run commands.
pub const SLOW_THREADS: usize = 8;
/// Jobs that wait for a thread of one pool; further ones are refused with 4xx or NO.
pub const POOL_QUEUE: usize = 4_096;

// Addresses and trees

/// Local part, in bytes (RFC 5321 4.5.3.1.1). `501 5.1.3`.
pub const LOCAL_PART: usize = 64;
/// Domain, in bytes (RFC 5321 4.5.3.1.2). `501 5.1.3`.
pub const DOMAIN: usize = 255;
/// New recipient trees in an hour unless configured otherwise: a dictionary attack must not fill the disk with folders. `451`.
pub const NEW_TREES_PER_HOUR: u32 = 1_000;

// Passwords

/// Password hashes waiting to be checked; the next login is told to try again.
pub const LOGIN_QUEUE: usize = 64;
/// Longest password and login name.
pub const CREDENTIAL: usize = 1_024;
/// How long a verified login is remembered (as an HMAC under a key of this process).
pub const LOGIN_MEMORY: Duration = Duration::from_secs(300);

/// Logins that wait for domains' own mail servers, together; further ones are told to try again.
pub const ELSEWHERE_QUEUE: usize = 256;
/// Connections to one domain's own mail server at once: Dovecot and others refuse a client that opens many.
pub const ELSEWHERE_AT_ONCE: usize = 8;
/// Time for such a server to say whether a password is right, from connecting on: Dovecot lets addresses with wrong passwords
/// wait for 15.5 seconds. As long may a login wait for its turn.
pub const ELSEWHERE_TIME: Duration = Duration::from_secs(20);
/// One line of such a server's answer; capabilities take some 500 bytes.
pub const ELSEWHERE_LINE: usize = 16 << 10;
/// All that such a server may say in one login.
pub const ELSEWHERE_BYTES: usize = 64 << 10;

// Journal

/// Bytes of the journal that one look at what happened lately reads; whoever wants more asks for the next piece.
pub const HISTORY_BYTES: u64 = 4 << 20;

// Lists of senders

/// Senders that one list names; whoever needs more wants a rule of the filter. `NO [OVERQUOTA]`.
pub const LIST_SENDERS: usize = 2_000;
/// Bytes of one list's file, which a person may have written; a larger one counts as it was before.
pub const LIST_BYTES: u64 = 1 << 20;

// Queue

/// How long a delivery is tried before the message goes back into Caught.
pub const QUEUE_AGE: Duration = Duration::from_secs(5 * 86_400);
/// Longest time for which something that was asked on the page can be taken back; whoever releases mail wants it soon.
pub const RELEASE_DELAY_MOST: Duration = Duration::from_secs(3_600);
/// Requests that wait in one recipient's tree: more than anybody decides one by one. `NO [OVERQUOTA]`.
pub const REQUESTS_PER_TREE: usize = 500;
/// Requests that wait in all; each is a file in one directory, and all are in memory. `NO [OVERQUOTA]`.
pub const REQUESTS: usize = 20_000;
/// First pause between two attempts; doubles up to [`RETRY_MOST`].
pub const RETRY_FIRST: Duration = Duration::from_secs(60);
/// Longest pause between two attempts.
pub const RETRY_MOST: Duration = Duration::from_secs(3_600);
/// Deliveries under way at once.
pub const DELIVERIES: usize = 8;
/// Trainings under way at once; rspamd and commands use the processor for each.
pub const TRAININGS: usize = 4;
/// Time for one training.
pub const TRAINING_TIME: Duration = Duration::from_secs(120);
/// What is kept of a training command's output, and of an HTTP service's answer to a training.
pub const TRAINING_OUTPUT: usize = 16 << 10;
/// Messages of deliveries under way, together (one alone may be larger): mail-send wants each whole in memory.
pub const DELIVERY_BYTES: u64 = 128 << 20;
/// To connect to the mail server, for its handshake and for its greeting, each.
pub const SMTP_CONNECT: Duration = Duration::from_secs(60);
/// A mail server's reply to a command (RFC 5321 4.5.3.2.2 and 4.5.3.2.3).
pub const SMTP_REPLY: Duration = Duration::from_secs(300);
/// A mail server's reply after the message (RFC 5321 4.5.3.2.6).
pub const SMTP_LAST_REPLY: Duration = Duration::from_secs(600);

// Changes

/// Removals that are remembered, a kept folder; a client that was away for longer has the whole list compared.
pub const REMOVALS_KEPT: usize = 32_768;
/// Views whose UIDNEXT and HIGHESTMODSEQ are kept over a stop, those that changed last.
pub const FIGURES_KEPT: usize = 200_000;

// The page of one message

/// HTML of a message that is made harmless for its frame; the rest is cut, and the page says so. Real newsletters stay
/// below 300 KB, and some mail programs cut at 102 KB.
pub const FRAME_INPUT: usize = 1 << 20;
/// The same when it is plain: each link and image became a text that may be longer.
pub const FRAME_OUTPUT: usize = 2 << 20;
/// Nested elements of it. Deeper ones lose their boxes, not their text; layout tables of real mail nest 30 deep, and
/// browsers stop at 512.
pub const FRAME_DEPTH: usize = 100;
/// Text that the page of a message shows; a link leads to the rest.
pub const PAGE_TEXT: usize = 64 << 10;
/// Text behind that link.
pub const PAGE_WHOLE_TEXT: usize = 2 << 20;
/// Source of a message that is shown; a download gives all of it.
pub const PAGE_SOURCE: usize = 256 << 10;
/// Bytes of one header field that the page shows.
pub const PAGE_FIELD: usize = 4 << 10;
/// Attachments that the page lists. The downloaded message has them all.
pub const PAGE_ATTACHMENTS: usize = 100;
/// Bytes of a message that are read for its page to say size and SHA-256 of its attachments, each counted from the message's
/// beginning; it takes some 100 ms.
pub const PAGE_HASHED: u64 = 32 << 20;

// Digests

/// Messages that one digest lists; of the others it says how many there are. A mail with more is cut by some readers.
pub const DIGEST_ROWS: u32 = 200;
/// So much a clock is set back while it is only corrected; what was noted later than this ahead of it is not believed.
pub const DIGEST_SLACK: Duration = Duration::from_secs(2 * 3_600);
/// How long a link lives whose message never expires, and an unsubscribe link; then its key is forgotten.
pub const LINK_MOST: Duration = Duration::from_secs(400 * 86_400);
/// Keys for links that are believed at once; with more, the oldest is forgotten early.
pub const LINK_KEYS: usize = 32;

// rspamd's exporter

/// Request line and fields of what rspamd posts: with `meta_headers` all symbols stand there. 431.
pub const EXPORT_HEADER: usize = 256 << 10;
/// What a request holds besides the message: what is known of it, in JSON. 413.
pub const EXPORT_METADATA: usize = 2 << 20;
/// How long a message that was told of is known, so that it is not kept twice. Mail servers use queue ids again, some
/// within days.
pub const EXPORTS_REMEMBERED: Duration = Duration::from_secs(12 * 3_600);
/// Messages that are known; each is an empty file in one directory. Of further ones a repeat is kept, too.
pub const EXPORTS_KNOWN: usize = 100_000;

// What filters say

/// Answer of a filter to a question about one message. rspamd's lists every link of the message. There is no verdict then,
/// and what follows is what the configuration says of a filter that fails.
pub const VERDICT_REPLY: usize = 4 << 20;
/// Reasons of one verdict: the weightiest. Filters give some 60; the trace holds them all.
pub const VERDICT_REASONS: usize = 100;
/// Bytes of one reason's words, and of what a filter wants a sender to be told: an SMTP reply line has 512 (RFC 5321
/// 4.5.3.1.5).
pub const VERDICT_TEXT: usize = 300;
/// Bytes of the name of a rule or header field.
pub const VERDICT_NAME: usize = 128;
/// Bytes of a value that a filter is told: a host name, an address.
pub const VERDICT_VALUE: usize = 1_000;
/// Changes of a header that a filter may ask for.
pub const VERDICT_EDITS: usize = 200;
/// Bytes of one field that a filter adds; signatures and lists of rules are below 8 KB.
pub const VERDICT_FIELD: usize = 32 << 10;
/// Stars of X-Spam-Level, as SpamAssassin has it.
pub const VERDICT_LEVEL: usize = 50;
/// Header fields of one message that are read for an earlier filter's verdict.
pub const VERDICT_FIELDS: usize = 2_000;
