"""A simulated fleet of pods on a virtual clock.

A scenario is a coroutine that creates a fleet and loads it. `clock.run` runs it on virtual time, in
which an hour passes in seconds. The same seed gives the same history.

    async def scenario() -> tuple[Job, Readers, Course]:
        settings = chart_fleet(calibration, pods=2, nodes=NodePoolSettings(cpus=15.5))
        job = Job(JobSettings(paragraphs=600_000, lengths=Lengths.equal(40)))
        readers = Readers(ReaderSettings(rate_per_second=5, lengths=Lengths.equal(40)))
        async with Fleet(settings) as fleet, Course(fleet, [job]) as course:
            async with asyncio.TaskGroup() as loads:
                loads.create_task(job.run(fleet))
                loads.create_task(readers.run(fleet, seconds=3600))
        return job, readers, course

    job, readers, course = run(scenario())
    print(job.paragraphs_per_second, readers.quantile(0.99), course.seconds_until_ready(100))

- `settings`: `chart_fleet` makes the settings of calibrated pods with the chart's defaults. All
  settings are frozen dataclasses, to change with `dataclasses.replace`.
- `fleet.Fleet`: the cluster. `metrics` are the values of KEDA's triggers, which the scenario sets;
  `reclaim_share` takes spot nodes away.
- `loads`: `Job` is a client that is paced by its limit, `Readers` arrive at random. Both are
  counted exactly: each paragraph is answered or failed.
- `course.Course`: samples of pods, nodes and answers over time.
- `transport.fleet_client`: the whole real client, with texts and scores, for tests of the client.
- `batching`, `lane_share`, `pod`, `replica`, `nodes`, `balancer`, `autoscaler`, `scaling_rules`,
  `keda`, `faults`: the parts. Each docstring names its source and what it leaves out.

A simulated second of a client costs about 0.1 ms of CPU time per call, whatever its paragraphs. A
long job is simulated until its rate is steady, and the rest is extrapolated.
"""
