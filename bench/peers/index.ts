import type { BenchCase, Subject } from '../types.ts';
import { kmeansPeers } from './kmeans.ts';
import { ortVgg } from './ort.ts';
import { tfjsConv, tfjsConvGradient, tfjsVgg } from './tfjs.ts';
import { tfjsTrainingStep } from './tfjs-training.ts';

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
    case 'training-step':
      return [tfjsTrainingStep(peers.batch)];
    case 'conv2d':
      return [tfjsConv(peers.shape)];
    case 'conv2d-gradient':
      return [tfjsConvGradient(peers)];
    case 'kmeans':
      return kmeansPeers(peers);
    default:
      return [];
  }
}
