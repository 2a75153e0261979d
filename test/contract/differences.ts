/** Where the sandbox answers otherwise than the real API server, and why. What is not listed here must not differ. */

/** One case in which it does. */
export interface Difference {
  readonly reason: string;
  /** What the real server answered, as the JSON of its recording, turned into what the sandbox answers. */
  readonly sandbox: (recording: string) => string;
}

const noProtobuf: Difference = {
  reason: 'The sandbox understands protobuf where kubectl sends it, but writes JSON and YAML only, and says so.',
  sandbox: (recording) =>
    recording.replaceAll(/, application\/(?:vnd\.kubernetes\.protobuf|json;stream=watch)(?:;stream=watch)?/g, ''),
};

/** By `area: title of the case`. */
export const differences: Readonly<Record<string, Difference>> = {
  'pod logs: a log is plain text, whatever was asked for': noProtobuf,
  'requests: a format that the server cannot write is not acceptable': noProtobuf,
  'requests: any format is JSON': noProtobuf,
  'requests: who takes protobuf or JSON gets protobuf': {
    reason: noProtobuf.reason,
    sandbox: (recording) => recording.replace(',"headers":{"content-type":"application/vnd.kubernetes.protobuf"}', ''),
  },
  'tables: an old version of tables is served, a view that nobody knows is not': noProtobuf,
  'tables: volume claims': {
    reason:
      'In the sandbox a volume is a folder, made as soon as it is claimed; there are no storage classes to wait for.',
    sandbox: (recording) => recording.replace('"Pending","","",""', '"Bound","pvc-uid-1","1Gi","RWO"'),
  },
  'custom objects: kind and version are needed': {
    reason:
      'A body in a version that is not served is refused before its fields are looked at, so it is not warned of them.',
    sandbox: (recording) => recording.replace(/"headers":\{"warning":"299 - [^}]*unknown field[^}]*\},/, ''),
  },
  'custom objects: an integer may be written as a float': {
    reason: 'JSON.parse does not tell 2.0 from 2, so a rule that Go finds a float in is not refused for it.',
    sandbox: (recording) =>
      recording.replace('422', '201').replace(/"failure":.*(?=\}\]$)/, '"body":{"spec":{"colour":"red","size":2}}'),
  },
};
