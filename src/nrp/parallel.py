"""Placeholder until the parallel map is merged."""

import os

from joblib import Parallel, delayed

from nrp.progress import progress


def map_tasks(function, tasks, *, workers=None, title, threads=1):
    tasks = list(tasks)
    if not tasks:
        return []
    n = min(workers or os.cpu_count() or 1, len(tasks))
    if n == 1:
        return [function(*t) for t in progress(tasks, total=len(tasks), title=title)]
    pool = Parallel(n_jobs=n, return_as="generator", inner_max_num_threads=threads)
    return list(progress(pool(delayed(function)(*t) for t in tasks), total=len(tasks), title=title))
