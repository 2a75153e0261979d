/** Logs of containers: bytes, options, and the ways to have none. */
import type { JsonObject } from '../../src/sandbox/object.ts';
import { contract } from './contract.ts';
import { paths, pod, unschedulable } from './objects.ts';

const { pods } = paths;
const container = (name: string, script: string): JsonObject => ({
  name,
  image: 'docker.io/library/busybox:1',
  command: ['sh', '-c', script],
});
const ran =
  (phase: string) =>
  ({ body }: { body: unknown }) =>
    JSON.stringify(body).includes(`"phase":"${phase}"`);

contract(
  'pod logs',
  {
    'a log is what was written': async (api) => {
      await api.get(`${pods}/lines/log`);
    },
    'a log of a container that is named': async (api) => {
      await api.get(`${pods}/two/log?container=one`);
      await api.get(`${pods}/two/log?container=two`);
    },
    'a log of one of several containers needs its name': async (api) => {
      await api.get(`${pods}/two/log`);
    },
    'a log of a container that does not exist is refused': async (api) => {
      await api.get(`${pods}/lines/log?container=absent`);
    },
    'a log of an init container': async (api) => {
      await api.get(`${pods}/inits/log?container=first`);
      await api.get(`${pods}/inits/log`);
    },
    'a log of a pod that does not exist is not found': async (api) => {
      await api.get(`${pods}/absent/log`);
    },
    'a log of a pod that no node has is no content': async (api) => {
      await api.get(`${pods}/unscheduled/log`);
      await api.get(`${pods}/unscheduled/log?follow=true`);
      await api.get(`${pods}/unscheduled/log?container=absent`);
    },
    'a log of a container that waits for another is refused': async (api) => {
      await api.until(`${pods}/waits`, ({ body }) => JSON.stringify(body).includes('PodInitializing'));
      await api.get(`${pods}/waits/log`);
    },
    'a log of nothing is empty': async (api) => {
      await api.get(`${pods}/silent/log`);
    },
    'a line without an end has none': async (api) => {
      await api.get(`${pods}/endless/log`);
    },
    'both streams are one log': async (api) => {
      await api.get(`${pods}/streams/log`, { show: (body) => String(body).split('\n').sort() });
    },
    'tailLines: the last of them': async (api) => {
      for (const tail of ['0', '1', '2', '100']) await api.get(`${pods}/lines/log?tailLines=${tail}`);
    },
    'limitBytes: the first of them': async (api) => {
      await api.get(`${pods}/lines/log?limitBytes=7`);
      await api.get(`${pods}/lines/log?limitBytes=1000`);
      await api.get(`${pods}/lines/log?tailLines=2&limitBytes=5`);
    },
    'timestamps stand before each line': async (api) => {
      await api.get(`${pods}/lines/log?timestamps=true`);
      await api.get(`${pods}/lines/log?timestamps=true&tailLines=1`);
    },
    'sinceSeconds and sinceTime: what is younger': async (api) => {
      await api.get(`${pods}/lines/log?sinceSeconds=3600`);
      await api.get(`${pods}/lines/log?sinceTime=2001-01-01T00:00:00Z`);
      await api.get(`${pods}/lines/log?sinceTime=2101-01-01T00:00:00Z`);
    },
    'options that contradict each other are refused': async (api) => {
      await api.get(`${pods}/lines/log?sinceSeconds=1&sinceTime=2001-01-01T00:00:00Z`);
    },
    'options out of range are refused': async (api) => {
      await api.get(`${pods}/lines/log?tailLines=-1`);
      await api.get(`${pods}/lines/log?limitBytes=0`);
      await api.get(`${pods}/lines/log?sinceSeconds=0`);
      await api.get(`${pods}/lines/log?sinceSeconds=-5`);
    },
    'options that cannot be read are refused': async (api) => {
      await api.get(`${pods}/lines/log?tailLines=all`);
      await api.get(`${pods}/lines/log?limitBytes=1.5`);
      await api.get(`${pods}/lines/log?sinceSeconds=long`);
      await api.get(`${pods}/lines/log?sinceTime=yesterday`);
      await api.get(`${pods}/lines/log?follow=perhaps&tailLines=1`);
    },
    'stream is not for everybody': async (api) => {
      await api.get(`${pods}/lines/log?stream=Stdout`);
      await api.get(`${pods}/lines/log?stream=All`);
      await api.get(`${pods}/lines/log?stream=Other`);
    },
    'the log of the time before is not there': async (api) => {
      await api.get(`${pods}/lines/log?previous=true`);
    },
    'the log of the time before': async (api) => {
      // The oldest container may be cleaned away while it is asked for; the next one is as good.
      await api.getWhen(`${pods}/restarts/log?previous=true`, ({ body }) => body === 'once\n');
    },
    'following ends with the container': async (api) => {
      const log = await api.stream(`${pods}/lines/log?follow=true`);
      await log.takeAll();
    },
    'following tells lines as they come': async (api) => {
      await api.given.post(pods, pod('ticks', 'echo one; sleep 1; echo two; sleep 1; echo three; sleep 1000'));
      await api.until(`${pods}/ticks`, ran('Running'));
      const log = await api.stream(`${pods}/ticks/log?follow=true`);
      await log.take(3);
    },
    'following from the last lines': async (api) => {
      await api.until(`${pods}/runs`, ran('Running'));
      await api.until(`${pods}/runs/log`, ({ body }) => body === 'one\ntwo\n');
      const log = await api.stream(`${pods}/runs/log?follow=true&tailLines=1`);
      await log.take(1);
    },
    'a log is plain text, whatever was asked for': async (api) => {
      await api.get(`${pods}/lines/log`, { headers: { Accept: 'application/json' } });
      await api.get(`${pods}/lines/log`, { headers: { Accept: 'application/json, */*' } });
      await api.get(`${pods}/lines/log`, { headers: { Accept: 'text/plain' } });
    },
    'a log can only be read': async (api) => {
      await api.post(`${pods}/lines/log`, {});
      await api.remove(`${pods}/lines/log`);
    },
    'an option that nobody knows is ignored': async (api) => {
      await api.get(`${pods}/lines/log?colour=red&tailLines=1`);
    },
    'an option that stands twice counts once': async (api) => {
      await api.get(`${pods}/lines/log?tailLines=1&tailLines=2`);
    },
  },
  {
    async before(api) {
      await api.given.post(pods, pod('lines', 'echo one; echo two; echo three'));
      const two = [container('one', 'echo of one'), container('two', 'echo of two')];
      await api.given.post(pods, pod('two', '', { containers: two }));
      await api.given.post(pods, pod('inits', 'echo main', { initContainers: [container('first', 'echo first')] }));
      await api.given.post(pods, pod('waits', 'echo never', { initContainers: [container('slow', 'sleep 1000')] }));
      await api.given.post(pods, unschedulable('unscheduled'));
      await api.given.post(pods, pod('silent', 'true'));
      await api.given.post(pods, pod('endless', 'printf "no end"'));
      await api.given.post(pods, pod('streams', 'echo out; echo error >&2'));
      await api.given.post(pods, pod('restarts', 'echo once; exit 1', { restartPolicy: 'OnFailure' }));
      await api.given.post(pods, pod('runs', 'echo one; echo two; sleep 1000'));
      for (const name of ['lines', 'two', 'inits', 'silent', 'endless', 'streams']) {
        await api.until(`${pods}/${name}`, ran('Succeeded'));
      }
    },
    async after(api) {
      for (const name of ['waits', 'runs', 'ticks', 'restarts'])
        await api.given.remove(`${pods}/${name}?gracePeriodSeconds=0`);
    },
  },
);
