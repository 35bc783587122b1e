"""The product, readable as a list: one file an operation."""

from __future__ import annotations

from connector.operations.backfill_interviews import BACKFILL_INTERVIEWS
from connector.operations.cancel_launch import CANCEL_LAUNCH
from connector.operations.check_connection import CHECK_CONNECTION
from connector.operations.complete_interview import COMPLETE_INTERVIEW
from connector.operations.forget_respondent import FORGET_RESPONDENT
from connector.operations.get_interview_analysis import GET_INTERVIEW_ANALYSIS
from connector.operations.get_launch import GET_LAUNCH
from connector.operations.get_overview import GET_OVERVIEW
from connector.operations.get_person import GET_PERSON
from connector.operations.get_run import GET_RUN
from connector.operations.get_sync import GET_SYNC
from connector.operations.get_theme_report import GET_THEME_REPORT
from connector.operations.launch_cohort_interviews import LAUNCH_COHORT_INTERVIEWS
from connector.operations.list_audit import LIST_AUDIT
from connector.operations.list_cohorts import LIST_COHORTS
from connector.operations.list_connections import LIST_CONNECTIONS
from connector.operations.list_launches import LIST_LAUNCHES
from connector.operations.list_syncs import LIST_SYNCS
from connector.operations.plan_cohort_launch import PLAN_COHORT_LAUNCH
from connector.operations.preview_interview_sync import PREVIEW_INTERVIEW_SYNC
from connector.operations.replay_syncs import REPLAY_SYNCS
from connector.operations.resume_launch import RESUME_LAUNCH
from connector.operations.start_interview import START_INTERVIEW
from connector.operations.suggest_theme_keys import SUGGEST_THEME_KEYS
from connector.operations.sync_interview_to_amplitude import SYNC_INTERVIEW_TO_AMPLITUDE
from connector.service.execution.operation import AnyOperation

OPERATIONS: tuple[AnyOperation, ...] = (
    LAUNCH_COHORT_INTERVIEWS,
    SYNC_INTERVIEW_TO_AMPLITUDE,
    GET_INTERVIEW_ANALYSIS,
    PLAN_COHORT_LAUNCH,
    START_INTERVIEW,
    GET_LAUNCH,
    LIST_LAUNCHES,
    CANCEL_LAUNCH,
    RESUME_LAUNCH,
    COMPLETE_INTERVIEW,
    PREVIEW_INTERVIEW_SYNC,
    BACKFILL_INTERVIEWS,
    GET_RUN,
    GET_OVERVIEW,
    GET_THEME_REPORT,
    SUGGEST_THEME_KEYS,
    LIST_SYNCS,
    GET_SYNC,
    REPLAY_SYNCS,
    GET_PERSON,
    FORGET_RESPONDENT,
    LIST_COHORTS,
    LIST_AUDIT,
    LIST_CONNECTIONS,
    CHECK_CONNECTION,
)
