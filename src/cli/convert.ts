import { extname } from 'node:path';
import { check } from '../gpu/errors.ts';
import { importQdq } from '../lower/import-qdq.ts';
import { isImageModel, type Model } from '../model/graph.ts';
import { isQuantized, type QuantizedModel } from '../model/quantized-model.ts';
import { toGraphModel } from '../model/translate.ts';
import { qdqOfOperators } from '../onnx/qoperator-import.ts';
import { type OnnxFormat, writeOnnx } from '../onnx/write-onnx.ts';
import { writeModelFile } from '../run/file.ts';
import type { Context } from './command.ts';
import { findCommit } from './files.ts';
import { checkCodeTypes, choice, codeTypes, constantOptions, text } from './options.ts';
import { mebibytes } from './table.ts';
import { loadNetwork, portablePath } from './weights.ts';

const FORMATS: readonly OnnxFormat[] = ['qdq', 'qoperator', 'codebook', 'float'];

export async function run(context: Context): Promise<void> {
  const { args, options, files } = context;
  const out = text(options.out);
  check(out, 'convert needs a file to write', 'no --out', 'add -o FILE.onnx');
  const format = choice('--format', options.format, FORMATS);
  const isSafetensors = extname(out).toLowerCase() === '.safetensors';
  check(!format || !isSafetensors, '--format is of an ONNX file', out, 'add -o FILE.onnx');
  const types = codeTypes(options);
  if (isSafetensors || format) checkCodeTypes(types, isSafetensors ? 'safetensors' : format!);
  const constants = constantOptions(options.constant);
  await files.reads(args[0]);
  const output = await files.claim('--out', out);
  const loaded = await loadNetwork(files, args[0], constants);
  const network = quantizedForm(loaded.network);
  const own = isQuantized(network) ? network.method : 'float';
  const fits = { float: ['float'], linear: ['float', 'qdq', 'qoperator'], kmeans: ['float', 'codebook'] }[
    own
  ];
  check(
    format === undefined || fits.includes(format),
    `a network that is ${own === 'float' ? 'not quantized' : `quantized by ${own}`} is written as ${fits.join(', ')}`,
    format,
    own === 'float' ? 'lloyd quantize quantizes it' : undefined,
  );
  const written = isSafetensors
    ? 'safetensors'
    : (format ?? { float: 'float', linear: 'qdq', kmeans: 'codebook' }[own]);
  checkCodeTypes(types, written);
  const metadata = { source: await portablePath(args[0]), sourceSha256: loaded.sha256 };
  const bytes = isSafetensors
    ? writeModelFile(network, metadata)
    : writeOnnx(network, { format, ...types, metadata });
  await output.write(bytes);
  context.note(`wrote ${out}`);
  context.print(
    `${await portablePath(args[0])}, ${mebibytes(loaded.fileBytes)} MiB, as ${written}, ${mebibytes(bytes.byteLength)} MiB`,
  );
  await context.writeJson({
    input: { file: await portablePath(args[0]), sha256: loaded.sha256, fileBytes: loaded.fileBytes },
    method: own,
    format: written,
    ...types,
    fileBytes: bytes.byteLength,
    commit: await findCommit(),
    date: new Date().toISOString(),
  });
}

/** A network with what its file says in nodes, quantizers and operators on codes, as its quantization. */
function quantizedForm(network: Model | QuantizedModel): Model | QuantizedModel {
  if (isQuantized(network)) return { ...network, model: toGraphModel(network.model) };
  return isImageModel(network) ? toGraphModel(network) : importQdq(qdqOfOperators(network));
}
