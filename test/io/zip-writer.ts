import { crc32 } from '../../src/io/crc32.ts';

/** An entry of a zip archive whose every field a test may falsify. */
export interface ZipEntry {
  name: string;
  data: Uint8Array;
  /** The name in its own header. */
  localName?: string;
  method?: number;
  flags?: number;
  crc?: number;
  /** Bytes of the file, where `data` is deflated or a lie is told. */
  fileBytes?: number;
  /** Bytes in the archive as the directory has them. */
  size?: number;
  /** Where the directory says that it lies; nothing is written for an entry that has one. */
  at?: number;
  extra?: Uint8Array;
}

/** What the record at the end says, where it lies. */
export interface ZipEnd {
  count?: number;
  start?: number;
  size?: number;
  disk?: number;
  comment?: string;
}

/** A zip archive written by hand, of stored entries unless a method says otherwise. */
export function zip(entries: readonly ZipEntry[], end: ZipEnd = {}): Uint8Array {
  const parts: Uint8Array[] = [];
  let at = 0;
  const put = (part: Uint8Array) => {
    parts.push(part);
    at += part.length;
  };
  const starts = entries.map((entry) => {
    if (entry.at !== undefined) return entry.at;
    const start = at;
    const name = new TextEncoder().encode(entry.localName ?? entry.name);
    const header = new DataView(new ArrayBuffer(30));
    header.setUint32(0, 0x04034b50, true);
    header.setUint16(6, entry.flags ?? 0, true);
    header.setUint16(8, entry.method ?? 0, true);
    header.setUint16(26, name.length, true);
    put(new Uint8Array(header.buffer));
    put(name);
    put(entry.data);
    return start;
  });
  const start = at;
  for (const [i, entry] of entries.entries()) {
    const name = new TextEncoder().encode(entry.name);
    const header = new DataView(new ArrayBuffer(46));
    header.setUint32(0, 0x02014b50, true);
    header.setUint16(8, entry.flags ?? 0, true);
    header.setUint16(10, entry.method ?? 0, true);
    header.setUint32(16, entry.crc ?? (entry.method ? 0 : crc32(entry.data)), true);
    header.setUint32(20, entry.size ?? entry.data.length, true);
    header.setUint32(24, entry.fileBytes ?? entry.data.length, true);
    header.setUint16(28, name.length, true);
    header.setUint16(30, entry.extra?.length ?? 0, true);
    header.setUint32(42, starts[i], true);
    put(new Uint8Array(header.buffer));
    put(name);
    if (entry.extra) put(entry.extra);
  }
  const comment = new TextEncoder().encode(end.comment ?? '');
  const record = new DataView(new ArrayBuffer(22));
  record.setUint32(0, 0x06054b50, true);
  record.setUint16(4, end.disk ?? 0, true);
  record.setUint16(8, end.count ?? entries.length, true);
  record.setUint16(10, end.count ?? entries.length, true);
  record.setUint32(12, end.size ?? at - start, true);
  record.setUint32(16, end.start ?? start, true);
  record.setUint16(20, comment.length, true);
  put(new Uint8Array(record.buffer));
  put(comment);
  const archive = new Uint8Array(at);
  let to = 0;
  for (const part of parts) {
    archive.set(part, to);
    to += part.length;
  }
  return archive;
}
