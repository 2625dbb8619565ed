import type { Transform } from 'node:stream';

export function withoutDawnsWarnings(): Transform;
