import { Transform } from 'node:stream';

/**
 * What Dawn says about its own limits each time that a device is opened, past any callback (dawn.node 0.6, seen 2026-11):
 * nothing that a user could do anything about. It can go once Dawn asks before it writes.
 */
const WARNING = /^Warning: maxDynamic\w+ artificially reduced from \d+ to \d+ /;
const START = 'Warning: maxDynamic';

/** Passes stderr on as it comes, but for those lines. */
export function withoutDawnsWarnings() {
  /** The line under way, for as long as it may be one of them; null once it is known to be none. */
  let held = '';
  const pass = (text) => {
    let out = '';
    for (const part of text.split(/(?<=\n)/)) {
      if (held === null) out += part;
      else {
        held += part;
        const may = held.length < START.length ? START.startsWith(held) : held.startsWith(START);
        if (may && !held.endsWith('\n')) continue;
        if (!WARNING.test(held)) out += held;
      }
      held = part.endsWith('\n') ? '' : null;
    }
    return out;
  };
  return new Transform({
    decodeStrings: false,
    transform(chunk, _, done) {
      done(null, pass(chunk));
    },
    flush(done) {
      done(null, held ?? '');
    },
  }).setEncoding('utf8');
}
