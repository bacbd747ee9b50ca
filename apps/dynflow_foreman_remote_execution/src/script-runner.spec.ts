import { describe, expect, it } from 'vitest';
import { ScriptRunner, withSettings } from './script-runner.js';
import { RemoteExecutionSettings } from './settings.js';

const settings = RemoteExecutionSettings.parse({ ssh_user: 'deploy', remote_working_dir: '/srv/jobs', cleanup_working_dirs: 'false' });
const job = { hostname: 'h1', script: 'true' };

describe('a job', () => {
  it('that says nothing of them takes login, directory and clean-up from the settings', () => {
    const expected = { ssh_user: 'deploy', remote_working_dir: '/srv/jobs', cleanup_working_dirs: false };

    expect(withSettings(ScriptRunner.input.parse(job), settings)).toMatchObject(expected);
  });

  it('goes before the settings in what it says itself', () => {
    const own = { ssh_user: 'root', remote_working_dir: '/var/tmp', cleanup_working_dirs: true };

    expect(withSettings(ScriptRunner.input.parse({ ...job, ...own }), settings)).toMatchObject(own);
  });
});
