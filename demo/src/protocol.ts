import type {
  AdapterReport,
  CompareRow,
  CompareRowName,
  Comparison,
  KmeansInit,
  PlanEntry,
  ShapeOptions,
} from 'lloyd';
import type { NodeSupport, OnnxFormat, ValueInfo } from 'lloyd/onnx';
import type { LayerActivations, OutputActivations } from '../../src/run/activation-errors.ts';
import type { PictureSettings } from '../../src/run/picture-input.ts';

/** What the page asks its worker, what comes back, and what is told on the way. */
export interface Calls {
  open: Call<{ base: string }, Opened, { done: number; total: number }>;
  useImages: Call<{ file: File }, { images: number }>;
  compare: Call<
    { rows: CompareRowName[]; images: number; calibration: number },
    { comparison: Comparison; file: Blob },
    CompareProgress
  >;
  review: Call<{ tiles: number }, Review>;
  classify: Call<{ pixels: Uint8Array<ArrayBuffer>; rows: CompareRowName[] }, RowLogits[], RowLogits>;
  inspect: Call<InspectRequest, Inspection>;
  clusterSteps: Call<
    { values: Float32Array; clusters: number; init: KmeansInit; seed: number },
    ClusterSteps
  >;
  values: Call<{ layer: string; count: number }, Float32Array>;
  profile: Call<{ row: CompareRowName; batch: number }, Profiled>;
  source: Call<{ kernel: string }, KernelSource>;
  tensorBench: Call<Record<string, never>, BenchRow[], BenchRow>;
  /** The page's own network where no files are given. */
  openNetwork: Call<{ files: File[] | null }, OwnNetwork>;
  checkNetwork: Call<CheckRequest, { file: Blob }, CheckProgress>;
  writeNetwork: Call<{ row: OwnRowName; format: FileFormat }, { name: string; file: Blob }>;
}

interface Call<Request, Result, Progress = never> {
  request: Request;
  result: Result;
  progress: Progress;
}

export interface Opened {
  adapter: AdapterReport;
  layers: { name: string; dims: readonly number[]; weights: number }[];
  testImages: number;
  calibrationImages: number;
  /** Fine-tuned rows whose weights the server has. */
  trained: CompareRowName[];
}

export type CompareProgress =
  | { kind: 'step'; row: string; done: number; total: number }
  | { kind: 'row'; row: CompareRow };

export interface Review {
  images: number;
  /** Images about which a precision disagrees with fp32. */
  differing: number;
  /** Precisions that do so about any. */
  disagreeing: number;
  /** Test images, those with most different answers first. */
  tiles: { index: number; label: number; pixels: Uint8Array<ArrayBuffer>; rows: RowLogits[] }[];
  /** 10 x 10 counts, a row a true class and a column an answer. */
  confusion: { name: CompareRowName; counts: Uint32Array }[];
}

export interface RowLogits {
  name: CompareRowName;
  logits: Float32Array;
}

export interface InspectRequest {
  layer: string;
  method: 'kmeans' | 'linear';
  bits: number;
  granularity: 'perTensor' | 'perChannel';
}

export interface Inspection extends InspectRequest {
  /** Weights in each of equally wide bins from `low` to `high`. */
  counts: Uint32Array;
  low: number;
  high: number;
  weights: number;
  /** The values a weight can take; of one channel where each has its own. */
  levels: Float32Array;
  /** Which channel the levels are of. */
  channel: number | null;
  channels: number;
  /** Infinite at 32 bits. */
  sqnrDb: number;
  /** Codes and their codebooks or scales. */
  bytes: number;
}

export interface ClusterStep {
  codebook: Float32Array;
  codes: Uint8Array;
  inertia: number;
}

export interface ClusterSteps {
  steps: ClusterStep[];
  /** Inertia of the best clustering there is. */
  optimum: number;
}

export interface Profiled {
  plan: PlanEntry[];
  /** GPU milliseconds of each dispatch; null without `timestamp-query`. */
  milliseconds: number[] | null;
  batch: number;
  gpuBytes: { weights: number; activations: number; staging: number; total: number };
}

/** A shader as the library has it, and how one dispatch compiled it. */
export interface KernelSource {
  /** The library files it is concatenated with, and the kernel itself last. */
  files: string[];
  bindings: { name: string; access: 'read' | 'write'; type: string }[];
}

export interface BenchRow {
  name: string;
  note: string;
  lloydMs: number;
  tfjsMs: number;
}

/** A network that was given to the page. */
export interface OwnNetwork {
  name: string;
  /** Of the file, and of those that its tensors lie in. */
  fileBytes: number;
  /** What its first row is called: `fp32`, or what a quantized file holds. */
  row: OwnRowName;
  nodes: NodeSupport;
  /** Numbers among its parameters. */
  weights: number;
  inputs: readonly ValueInfo[];
  outputs: readonly string[];
  /** Whether its input may be a picture, and one of CIFAR-10's. */
  takes: { pictures: boolean; cifar10: boolean };
}

/** What a network of one's own is quantized to. */
export const precisions = ['linear-8', 'linear-4', 'kmeans-8', 'kmeans-4', 'kmeans-2'] as const;
export type Precision = (typeof precisions)[number];
/** Also of what a quantized file holds, of any width. */
export type OwnRowName = 'fp32' | `${'linear' | 'kmeans'}-${number}`;
export type FileFormat = OnnxFormat | 'safetensors';

/** What a network is run on. */
export interface SampleRequest {
  source: 'synthetic' | 'pictures' | 'cifar10';
  /** Of `source: 'pictures'`. */
  files: File[];
  settings: PictureSettings;
  /** Whole shapes of inputs that leave theirs open, where they are no pictures. */
  shapes: ShapeOptions;
}

export interface CheckRequest {
  samples: SampleRequest;
  precisions: Precision[];
}

export type CheckProgress =
  | { kind: 'step'; text: string }
  /** With the samples' shapes known, more may be said of its nodes. */
  | { kind: 'nodes'; nodes: NodeSupport }
  | { kind: 'row'; row: OwnRow };

/** What was found of a network at one precision. */
export interface OwnRow {
  name: OwnRowName;
  /** Why there is nothing more. */
  failed?: string;
  fileBytes: number;
  /** Median wall-clock time of a run, its result read back. */
  milliseconds: number;
  /** Against the float network; none of the network itself. */
  layers: LayerActivations[];
  outputs: OutputActivations[];
  /** The first sample's results. */
  first: { name: string; dims: readonly number[]; values: number[] }[];
  /** Files that it can be saved as, with their size, or why not. */
  files: { format: FileFormat; fileBytes: number; refused?: string }[];
}

export type ToWorker =
  | { id: number; call: keyof Calls; request: unknown }
  | { id: number; cancel: true }
  | { loseDevice: true };
export type FromWorker =
  /** The call waits for one whose timings it would disturb. */
  | { id: number; waiting: true }
  | { id: number; progress: unknown }
  | { id: number; result: unknown }
  | { id: number; error: { name: string; message: string } }
  /** The device was lost, and the worker goes on with another. */
  | { recovered: string }
  | { lost: string };
