import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HandClock } from '../../../../test/support/hand-clock.ts';
import { administrator } from '../../access/caller.ts';
import type { KubeObject } from '../../object.ts';
import type { StatusError } from '../../status.ts';
import { LogFile } from './logfile.ts';
import { createPodLog } from './podlog.ts';

const id = `containerd://${'a'.repeat(64)}`;

function pod(
  containers: readonly string[],
  status: object = {},
  { nodeName = 'sandbox', init = [] as string[] } = {},
): KubeObject {
  const named = (name: string) => ({ name, image: 'busybox' });
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'p',
      namespace: 'default',
      uid: 'u',
      resourceVersion: '1',
      creationTimestamp: '2026-11-01T10:00:00Z',
    },
    spec: { nodeName, initContainers: init.map(named), containers: containers.map(named) },
    status: JSON.parse(JSON.stringify(status)),
  };
}

const running = { containerStatuses: [{ name: 'a', containerID: id, state: { running: {} }, lastState: {} }] };
const waiting = (reason: string) => ({
  containerStatuses: [{ name: 'a', state: { waiting: { reason } }, lastState: {} }],
});

describe('pods/log', () => {
  const clock = new HandClock();
  let folder: string;
  let log: LogFile;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'podlog-'));
    log = new LogFile(join(folder, '0.log'), { rotation: { bytes: 1e9, files: 1 }, clock });
    for (const line of ['one', 'two', 'three']) {
      log.say('stdout', line);
      await clock.turn(1_000);
    }
    log.close();
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  async function ask(query: string, object: KubeObject): Promise<{ readonly code: number; readonly text: string }> {
    const subresource = createPodLog(
      { find: (_pod, _container, containerId) => (containerId === id ? log : undefined) },
      clock,
    );
    const request = {
      caller: administrator,
      method: 'GET',
      query: new URLSearchParams(query),
      body: undefined,
      signal: new AbortController().signal,
    };
    const answer = await subresource.handle(request, object);
    if (!('contentType' in answer)) throw new Error('a log is no object');
    assert.equal(answer.contentType, 'text/plain');
    const chunks: Buffer[] = [];
    for await (const chunk of answer.body ?? []) chunks.push(Buffer.from(chunk));
    return { code: answer.code, text: Buffer.concat(chunks).toString() };
  }

  /** Answers as a cluster of version 1.34 gave them. */
  const answers: readonly {
    readonly query: string;
    readonly object?: KubeObject;
    readonly want: { readonly code: number; readonly text: string };
  }[] = [
    { query: '', want: { code: 200, text: 'one\ntwo\nthree\n' } },
    { query: 'container=a&container=zz', want: { code: 200, text: 'one\ntwo\nthree\n' } },
    {
      query: 'container=&foo=1&pretty=true&insecureSkipTLSVerifyBackend=true',
      want: { code: 200, text: 'one\ntwo\nthree\n' },
    },
    { query: 'follow', want: { code: 200, text: 'one\ntwo\nthree\n' } },
    { query: 'tailLines=1', want: { code: 200, text: 'three\n' } },
    { query: 'tailLines=%2B1', want: { code: 200, text: 'three\n' } },
    { query: 'limitBytes=1', want: { code: 200, text: 'o' } },
    { query: 'timestamps=0&tailLines=1', want: { code: 200, text: 'three\n' } },
    { query: 'sinceSeconds=2', want: { code: 200, text: 'two\nthree\n' } },
    { query: 'sinceTime=2026-11-01T10:00:02.9Z', want: { code: 200, text: 'three\n' } },
    { query: 'sinceTime=2026-11-01T12:00:02%2B02:00', want: { code: 200, text: 'three\n' } },
    { query: 'sinceTime=', want: { code: 200, text: 'one\ntwo\nthree\n' } },
    { query: '', object: pod(['a'], {}, { nodeName: '' }), want: { code: 204, text: '' } },
    {
      query: 'previous=true',
      object: pod(['a'], {
        containerStatuses: [{ name: 'a', state: {}, lastState: { terminated: { containerID: id } } }],
      }),
      want: { code: 200, text: 'one\ntwo\nthree\n' },
    },
    {
      query: '',
      object: pod(['a'], {
        containerStatuses: [
          {
            name: 'a',
            state: { waiting: { reason: 'CrashLoopBackOff' } },
            lastState: { terminated: { containerID: id } },
          },
        ],
      }),
      want: { code: 200, text: 'one\ntwo\nthree\n' },
    },
    {
      query: 'container=i',
      object: pod(
        ['a'],
        { initContainerStatuses: [{ name: 'i', state: { terminated: { containerID: id } } }] },
        { init: ['i'] },
      ),
      want: { code: 200, text: 'one\ntwo\nthree\n' },
    },
    {
      query: '',
      object: pod(['a'], {
        containerStatuses: [{ name: 'a', state: { terminated: { containerID: 'containerd://gone' } } }],
      }),
      want: { code: 200, text: 'unable to retrieve container logs for containerd://gone' },
    },
  ];
  for (const { query, object = pod(['a'], running), want } of answers) {
    it(`answers ?${query} with ${want.code} ${JSON.stringify(want.text.slice(0, 40))}`, async () => {
      assert.deepEqual(await ask(query, object), want);
    });
  }

  const refusals: readonly {
    readonly query: string;
    readonly object?: KubeObject;
    readonly code: number;
    readonly message: string;
  }[] = [
    {
      query: '',
      object: pod(['a', 'b'], {}, { nodeName: '' }),
      code: 400,
      message: 'a container name must be specified for pod p, choose one of: [a b]',
    },
    {
      query: '',
      object: pod(['a', 'b'], {}, { init: ['i1', 'i2'] }),
      code: 400,
      message: 'a container name must be specified for pod p, choose one of: [i1 i2 a b]',
    },
    { query: 'container=zz', code: 400, message: 'container zz is not valid for pod p' },
    {
      query: '',
      object: pod(['a'], waiting('PodInitializing')),
      code: 400,
      message: 'container "a" in pod "p" is waiting to start: PodInitializing',
    },
    {
      query: '',
      object: pod(['a'], waiting('ErrImagePull')),
      code: 400,
      message: `container "a" in pod "p" is waiting to start: image can't be pulled`,
    },
    {
      query: '',
      object: pod(['a'], waiting('ImagePullBackOff')),
      code: 400,
      message: 'container "a" in pod "p" is waiting to start: trying and failing to pull image',
    },
    { query: '', object: pod(['a']), code: 400, message: 'container "a" in pod "p" is not available' },
    {
      query: '',
      object: pod(['a'], { containerStatuses: [{ name: 'a', state: { terminated: {} } }] }),
      code: 400,
      message: 'container "a" in pod "p" is terminated',
    },
    { query: 'previous=true', code: 400, message: 'previous terminated container "a" in pod "p" not found' },
    {
      query: 'tailLines=-1',
      code: 422,
      message: 'PodLogOptions "p" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0',
    },
    {
      query: 'limitBytes=-1&tailLines=-3',
      code: 422,
      message:
        'PodLogOptions "p" is invalid: [tailLines: Invalid value: -3: must be greater than or equal to 0, limitBytes: Invalid value: -1: must be greater than 0]',
    },
    {
      query: 'sinceSeconds=0',
      code: 422,
      message: 'PodLogOptions "p" is invalid: sinceSeconds: Invalid value: 0: must be greater than 0',
    },
    {
      query: 'sinceSeconds=5&sinceTime=2026-11-21T12:07:55Z',
      code: 422,
      message:
        'PodLogOptions "p" is invalid: []: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified',
    },
    {
      query: 'stream=Stdout',
      code: 422,
      message: 'PodLogOptions "p" is invalid: stream: Forbidden: may not be specified',
    },
    { query: 'tailLines=abc', code: 400, message: 'strconv.ParseInt: parsing "abc": invalid syntax' },
    { query: 'tailLines=', code: 400, message: 'strconv.ParseInt: parsing "": invalid syntax' },
    {
      query: 'limitBytes=99999999999999999999',
      code: 400,
      message: 'strconv.ParseInt: parsing "99999999999999999999": value out of range',
    },
    {
      query: 'sinceTime=foo',
      code: 400,
      message: 'parsing time "foo" as "2006-01-02T15:04:05Z07:00": cannot parse "foo" as "2006"',
    },
    {
      query: 'sinceTime=2026-11-21 12:07:55Z',
      code: 400,
      message: 'parsing time "2026-11-21 12:07:55Z" as "2006-01-02T15:04:05Z07:00": cannot parse " 12:07:55Z" as "T"',
    },
    {
      query: 'sinceTime=2026-13-21T12:07:55Z',
      code: 400,
      message: 'parsing time "2026-13-21T12:07:55Z": month out of range',
    },
    {
      query: 'sinceTime=2026-02-30T12:07:55Z',
      code: 400,
      message: 'parsing time "2026-02-30T12:07:55Z": day out of range',
    },
  ];
  for (const { query, object = pod(['a'], running), code, message } of refusals) {
    it(`refuses ?${query}: ${message}`, async () => {
      await assert.rejects(ask(query, object), (error: StatusError) => {
        assert.deepEqual([error.code, error.message], [code, message]);
        return true;
      });
    });
  }
});
