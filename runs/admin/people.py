"""People, how they sign in, and the groups that give rights.

Only superusers give rights. Other staff can only manage people who have no more rights than they do: by setting a new
password or address, they could otherwise act with that person's rights.
"""

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django_tasks_db.models import DBTaskResult

from runs.accounts.adapters import move_to_address
from runs.accounts.departure import (
    HandOverFirst,
    activate,
    deactivate,
    depart,
    teams_left_without_owner,
    teams_that_stay,
)
from runs.accounts.profile import time_zones
from runs.models import AuditEntry, Team, User
from runs.models.audit import Action
from traceml_site.admin import GoesWithOthers

# They show secrets: of second factors and single sign-on, and links in queued emails (jobs have their own page).
admin.site.unregister([Authenticator, SocialAccount, SocialApp, SocialToken, DBTaskResult])
admin.site.unregister([EmailAddress, UserSession, Group])

RIGHTS = ("is_staff", "is_superuser", "groups")


def note(request, person: User, words: str) -> None:
    """Write an audit entry about the account in each of the person's teams."""
    for team in Team.objects.for_user(person) or [None]:
        AuditEntry.note(request, team, Action.ACCOUNT_CHANGED, f"{person.email}: {words}")


class AddressForm(forms.ModelForm):
    def clean_email(self):
        email = self.cleaned_data["email"].lower()
        others = User.objects.exclude(pk=self.instance.pk)
        addresses = EmailAddress.objects.filter(email=email, verified=True).exclude(user=self.instance.pk)
        if others.filter(email=email).exists() or addresses.exists():
            raise ValidationError("This address already belongs to another account.")
        return email


class PersonForm(AddressForm, UserChangeForm):
    time_zone = forms.ChoiceField(choices=time_zones)


class NewPersonForm(AddressForm, AdminUserCreationForm):
    pass


class OfAPerson(admin.ModelAdmin):
    """Objects that belong to a person, in their field `user`."""

    list_select_related = ["user"]

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, request, obj=None):
        return super().has_delete_permission(request) and (obj is None or request.user.may_look_after(obj.user))


@admin.register(Authenticator)
class SecondFactorAdmin(OfAPerson):
    """Staff see second factors, and remove one for a person who lost it."""

    list_display = ["user", "type", "created_at", "last_used_at"]
    list_filter = ["type"]
    search_fields = ["user__email"]
    fields = ["user", "type", "created_at", "last_used_at"]

    def delete_model(self, request, obj):
        super().delete_model(request, obj)
        note(request, obj.user, "second factor removed")

    @transaction.atomic
    def delete_queryset(self, request, queryset):
        for factor in queryset.select_related("user"):
            self.delete_model(request, factor)


@admin.register(EmailAddress)
class EmailAddressAdmin(GoesWithOthers, OfAPerson):
    """People's email addresses, confirmed or not. The sign-in address is changed on the person's page."""

    list_display = ["email", "user", "primary", "verified"]
    list_filter = ["primary", "verified"]
    search_fields = ["email", "user__email"]
    fields = ["email", "user", "primary", "verified"]
    actions = ["confirm"]

    @admin.action(description="Mark the selected addresses as confirmed", permissions=["change"])
    def confirm(self, request, queryset):
        for address in queryset.filter(verified=False).select_related("user"):
            others = User.objects.filter(email=address.email).exclude(pk=address.user_id)
            if not request.user.may_look_after(address.user) or others.exists():
                self.message_user(
                    request, f"{address} was not changed: you don't have permission to confirm it.", messages.ERROR
                )
                continue
            with transaction.atomic():
                if address.set_verified():
                    note(request, address.user, f"address {address} confirmed")


@admin.register(UserSession)
class SessionAdmin(OfAPerson):
    """The browsers in which people are signed in; deleting a session signs it out."""

    list_display = ["user", "created_at", "last_seen_at", "ip", "user_agent"]
    search_fields = ["user__email", "ip"]
    fields = ["user", "created_at", "last_seen_at", "ip", "user_agent"]

    def delete_model(self, request, obj):
        obj.end()

    def delete_queryset(self, request, queryset):
        for session in queryset:
            session.end()


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin):
    """Groups and their rights: superusers change them, other staff view them."""

    def has_add_permission(self, request):
        return request.user.is_superuser and super().has_add_permission(request)

    def has_change_permission(self, request, obj=None):
        return request.user.is_superuser and super().has_change_permission(request, obj)

    def has_delete_permission(self, request, obj=None):
        return request.user.is_superuser and super().has_delete_permission(request, obj)


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    ordering = ["email"]
    list_display = ["email", "first_name", "last_name", "is_staff", "is_active"]
    list_filter = ["is_active", "is_staff", "is_superuser"]
    search_fields = ["email", "first_name", "last_name"]
    form = PersonForm
    add_form = NewPersonForm
    fieldsets = [
        (None, {"fields": ["email", "password"]}),
        ("Person", {"fields": ["first_name", "last_name", "time_zone", "theme"]}),
        ("Rights", {"fields": ["is_active", "is_staff", "is_superuser", "groups"]}),
    ]
    add_fieldsets = [(None, {"fields": ["email", "usable_password", "password1", "password2"]})]

    def has_change_permission(self, request, obj=None):
        return super().has_change_permission(request, obj) and (obj is None or request.user.may_look_after(obj))

    def has_delete_permission(self, request, obj=None):
        return super().has_delete_permission(request, obj) and (obj is None or request.user.may_look_after(obj))

    def get_readonly_fields(self, request, obj=None):
        return () if request.user.is_superuser else RIGHTS

    @transaction.atomic
    def save_model(self, request, obj, form, change):
        before = User.objects.get(pk=obj.pk) if change else None
        super().save_model(request, obj, form, change)
        if before is None:
            return
        if before.email != obj.email:
            move_to_address(obj, before.email, keeping=request.session.session_key)
            note(request, obj, f"address was {before.email}")
        if before.is_active != obj.is_active:
            (activate if obj.is_active else deactivate)(obj, request)

    def user_change_password(self, request, id, form_url=""):
        person = self.get_object(request, id)
        with transaction.atomic():
            answer = super().user_change_password(request, id, form_url)
            if person and User.objects.exclude(password=person.password).filter(pk=person.pk).exists():
                note(request, person, "password set by staff")
        return answer

    def get_deleted_objects(self, objs, request):
        """Keep a person whose teams would lose their last owner."""
        found, counts, lacking, protected = super().get_deleted_objects(objs, request)
        words = [f"Ownership of {team}: make another member its owner first" for team in teams_left_without_owner(objs)]
        return found, counts, lacking, [*protected, *words]

    @transaction.atomic
    def delete_model(self, request, obj):
        for team in teams_that_stay(obj):
            AuditEntry.note(request, team, Action.MEMBER_REMOVED, f"{obj.email} (account deleted)")
        try:
            depart(obj)
        except HandOverFirst:  # another owner left in the meantime
            raise PermissionDenied from None

    @transaction.atomic
    def delete_queryset(self, request, queryset):
        for person in queryset:
            self.delete_model(request, person)
