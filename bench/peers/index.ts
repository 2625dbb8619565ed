import type { BenchCase, Subject } from '../types.ts';
import { ortVgg } from './ort.ts';
import { tfjsVgg } from './tfjs.ts';

/** Everybody else who can do a case's work; the packages load when a subject is opened. */
export function peersOf({ peers }: BenchCase): readonly Subject[] {
  switch (peers?.kind) {
    case 'vgg':
      return peers.batches.flatMap((batch) => [
        tfjsVgg('webgpu', batch),
        ortVgg('webgpu', batch),
        tfjsVgg('wasm', batch),
        ortVgg('cpu', batch),
      ]);
    default:
      return [];
  }
}
